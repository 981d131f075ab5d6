'use strict';
// Names of files are untrusted, so they are only inserted as text, never as HTML.
const data = JSON.parse(document.getElementById('data').textContent);
const root = document.documentElement;
document.getElementById('theme').addEventListener('click', () => {
  const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  root.dataset.theme = dark ? 'light' : 'dark';
});

if (data) {
  const AT_ONCE = 40;
  const filters = document.getElementById('filters');
  const section = document.getElementById('clips');
  const heading = document.getElementById('clips-title');
  const list = document.getElementById('list');
  const end = document.getElementById('end');
  const cells = [...document.querySelectorAll('#confusion button')];
  const clips = data.clips.map((clip, index) => ({ ...clip, index, sure: clip.probabilities[clip.predicted], wrong: clip.predicted !== clip.truth }));
  let shown = [];
  let drawn = 0;
  let playing = -1;

  const fill = (name, values) => {
    for (const [value, text] of values) filters.elements[name].add(new Option(text, value));
  };
  const different = (key) => [...new Set(clips.map((clip) => clip[key]))].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
  fill('truth', data.classes.map((name, index) => [index, name]));
  fill('predicted', data.classes.map((name, index) => [index, name]));
  fill('speaker', different('speaker').map((name) => ['=' + name, name || 'unknown']));
  fill('training', different('training').map((name) => ['=' + name, name]));
  document.getElementById('trainings').hidden = different('training').length < 2;

  const orders = {
    mistakes: (a, b) => b.wrong - a.wrong || (a.wrong ? b.sure - a.sure : a.sure - b.sure),
    unsure: (a, b) => a.sure - b.sure,
    name: (a, b) => a.file.localeCompare(b.file, undefined, { numeric: true }),
  };

  const element = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  // A name in its own direction, which does not change the order of the words around it.
  const isolated = (name) => element('bdi', '', name);

  function row(clip, place) {
    const item = element('li');
    item.dataset.place = place;
    item.tabIndex = -1;
    const sound = data.sounds[clip.sound];
    const about = element('div');
    const verdict = element('div', 'verdict ' + (clip.wrong ? 'wrong' : 'right'), clip.wrong ? '✗ ' : '✓ ');
    verdict.append(isolated(data.classes[clip.truth]));
    if (clip.wrong) verdict.append(', predicted as ', isolated(data.classes[clip.predicted]));
    verdict.append(` (${percent(clip.sure)}\u00a0%)`);
    const where = element('div', 'name');
    where.append(isolated(clip.file));
    if (clip.speaker) where.append(' · speaker ', isolated(clip.speaker));
    for (const text of [clip.training, sound && sound.seconds && sound.seconds + '\u00a0s']) if (text) where.append(' · ' + text);
    about.append(verdict, where);
    if (sound && sound.source) {
      const player = element('audio');
      player.controls = true;
      player.preload = 'none';
      player.setAttribute('aria-label', clip.file);
      player.src = sound.source;
      player.addEventListener('play', () => mark(place));
      player.addEventListener('error', () => player.replaceWith(element('div', 'quiet', 'The recording was moved, or the browser cannot play its format; emovox report --embed embeds it in the page.')));
      about.append(player);
    } else {
      about.append(element('div', 'quiet', 'The recording could not be read.'));
    }
    item.append(about);
    if (sound && sound.spectrogram) {
      const picture = element('img');
      picture.alt = '';
      picture.src = 'data:image/png;base64,' + sound.spectrogram;
      item.append(picture);
    }
    const probabilities = element('div', 'probabilities');
    clip.probabilities.forEach((probability, index) => {
      const bar = element('i');
      bar.style.width = Math.max(1, percent(probability)) + '%';
      probabilities.append(element('span', index === clip.truth ? 'truth' : '', data.classes[index]), bar, element('b', '', percent(probability)));
    });
    item.append(probabilities);
    return item;
  }

  const percent = (probability) => Math.round(probability / 100);

  const observer = new IntersectionObserver((seen) => {
    if (seen.some((entry) => entry.isIntersecting) && drawn < shown.length) more();
  }, { rootMargin: '1200px' });

  function more() {
    const rows = document.createDocumentFragment();
    for (const last = Math.min(shown.length, drawn + AT_ONCE); drawn < last; drawn += 1) rows.append(row(shown[drawn], drawn));
    list.append(rows);
    // The observer reports only changes: without this, an end that is pushed away and scrolled to between two
    // frames would never be reported again.
    observer.unobserve(end);
    observer.observe(end);
  }

  function draw() {
    const value = (name) => filters.elements[name].value;
    const keeps = (clip) => (value('truth') === '' || clip.truth === Number(value('truth')))
      && (value('predicted') === '' || clip.predicted === Number(value('predicted')))
      && (value('speaker') === '' || '=' + clip.speaker === value('speaker'))
      && (value('training') === '' || '=' + clip.training === value('training'))
      && (value('show') === '' || clip.wrong === (value('show') === 'wrong'));
    shown = clips.filter(keeps).sort((a, b) => orders[value('order')](a, b) || a.index - b.index);
    for (const player of list.querySelectorAll('audio')) player.pause();
    list.replaceChildren();
    drawn = 0;
    playing = -1;
    document.getElementById('count').textContent = `${shown.length} of ${clips.length} clips.`;
    for (const cell of cells) cell.setAttribute('aria-pressed', cell.dataset.truth === value('truth') && cell.dataset.predicted === value('predicted'));
    more();
  }

  function mark(place) {
    for (const item of list.children) {
      const here = Number(item.dataset.place) === place;
      item.classList.toggle('playing', here);
      const player = item.querySelector('audio');
      if (!here && player) player.pause();
    }
    playing = place;
  }

  function play(place) {
    if (place < 0 || place >= shown.length) return;
    while (drawn <= place) more();
    mark(place);
    const item = list.children[place];
    item.focus({ preventScroll: true });
    item.scrollIntoView({ block: 'center' });
    const player = item.querySelector('audio');
    if (player) {
      player.currentTime = 0;
      player.play().catch(() => {});
    }
  }

  for (const cell of cells) {
    cell.addEventListener('click', () => {
      const again = cell.getAttribute('aria-pressed') === 'true';
      filters.reset();
      if (!again) {
        filters.elements.truth.value = cell.dataset.truth;
        filters.elements.predicted.value = cell.dataset.predicted;
      }
      draw();
      if (again) return;
      heading.focus({ preventScroll: true });
      section.scrollIntoView();
    });
  }
  filters.addEventListener('change', draw);
  filters.addEventListener('reset', () => setTimeout(draw));
  filters.addEventListener('submit', (event) => event.preventDefault());
  section.addEventListener('keydown', (event) => {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || target.tagName === 'SELECT') return;
    const item = target.closest('#list li');
    const place = item ? Number(item.dataset.place) : playing;
    const player = playing >= 0 && list.children[playing].querySelector('audio');
    // Elsewhere arrows and space scroll the page, press a button, or control the player that has the focus.
    const takesAll = target === item;
    if (key === 'n' || (key === 'ArrowDown' && takesAll)) play(place + 1);
    else if (key === 'p' || (key === 'ArrowUp' && takesAll)) play(place - 1);
    else if (key === ' ' && takesAll && player) player.paused ? player.play() : player.pause();
    else if (key === 'Escape') {
      filters.reset();
      heading.focus();
    } else return;
    event.preventDefault();
  });
  addEventListener('beforeprint', () => {
    while (drawn < shown.length) more();
  });
  draw();
}
