// One recording of the list: its way to the server, its result or error, and its player.
import { predict } from './api.js';
import { Chart } from './chart.js';
import { announce, clock, element, isolated, megabytes, percent } from './dom.js';

const MAX_TRIES = 5; // of a request to a busy server
const MAX_OPEN = 12; // segments that are listed without a click

export class Result {
  // `queue` runs a job when it is its turn; `needsToken` is called when the server wants a token.
  constructor(file, settings, model, { queue, needsToken }) {
    Object.assign(this, { file, settings, model, queue, needsToken });
    this.source = URL.createObjectURL(file);
    this.title = element('h3', { textContent: file.name });
    this.remove = element('button', { type: 'button', textContent: 'Remove', 'aria-label': `Remove ${file.name}` });
    this.remove.addEventListener('click', () => this.dispose());
    this.body = element('div', { className: 'body' });
    this.element = element('li', { className: 'result' }, element('div', { className: 'head' }, this.title, this.remove), this.body);
  }

  // Removes the recording from the page, and cancels its request.
  dispose() {
    this.cancel?.abort();
    URL.revokeObjectURL(this.source);
    const { parentElement: list } = this.element;
    const next = this.element.nextElementSibling ?? this.element.previousElementSibling;
    this.element.remove();
    announce(`${this.file.name} is removed.`);
    list?.dispatchEvent(new CustomEvent('removed'));
    next?.querySelector('button')?.focus();
  }

  start() {
    this.lacksToken = false;
    const limit = this.model.limits.body_bytes;
    if (this.file.size > limit) {
      this.showError(`The file has ${megabytes(this.file.size)}. This server accepts ${megabytes(limit)}.`);
      return;
    }
    if (this.file.size === 0) {
      this.showError('The file is empty.');
      return;
    }
    this.cancel = new AbortController();
    const { signal } = this.cancel;
    signal.addEventListener('abort', () => this.showError('Cancelled.', 'quiet'));
    this.showProgress('Waiting');
    this.queue(() => this.send(signal));
  }

  async send(signal) {
    try {
      for (let tries = 1; ; tries += 1) {
        signal.throwIfAborted();
        this.showProgress('Sending and predicting');
        await this.checkReadable();
        try {
          this.showPrediction(await predict(this.file, this.settings, signal));
          return;
        } catch (error) {
          if (!error.retryAfter || tries === MAX_TRIES) throw error;
          this.showProgress(`The server is busy. Attempt ${tries + 1} of ${MAX_TRIES} follows`);
          await delay(1000 * error.retryAfter, signal);
        }
      }
    } catch (error) {
      if (error.name === 'AbortError') return;
      this.showError(`${this.file.name}: ${error.message}`);
      this.lacksToken = error.needsToken;
      if (error.needsToken) this.needsToken(error);
    }
  }

  // The browser reports a file that it cannot read like a server that does not answer.
  async checkReadable() {
    await this.file.slice(0, 1).arrayBuffer().catch(() => {
      throw new Error('the browser cannot read the file. It is a folder, or it was moved or changed; choose it again.');
    });
  }

  // Replaces the content, and keeps the focus inside it.
  setBody(...content) {
    const focused = this.body.contains(document.activeElement);
    this.body.replaceChildren(...content);
    if (focused) this.body.querySelector('button, audio').focus();
  }

  showProgress(text) {
    const button = element('button', { type: 'button', textContent: 'Cancel', 'aria-label': `Cancel ${this.file.name}` });
    button.addEventListener('click', () => this.cancel.abort());
    this.setBody(element('p', {}, element('span', { className: 'turning', 'aria-hidden': true }), `${text} … `, button));
  }

  showError(message, className = 'error') {
    const again = element('button', { type: 'button', textContent: 'Try again', 'aria-label': `Try again: ${this.file.name}` });
    again.addEventListener('click', () => this.start());
    this.setBody(element('p', { className, role: 'alert', textContent: message }), again);
  }

  showPrediction({ predictions, whole, cancelled, hops, seconds, peaks }) {
    const { classes } = this.model;
    const overall = classes.map((name) => whole.probabilities[name]);
    const verdict = whole.speech ? [isolated(whole.label), `, ${percent(Math.max(...overall))}`] : ['no speech'];
    const title = element('b', {}, ...verdict);
    const chart = new Chart(classes);
    chart.setWaveform(peaks);
    chart.setSeconds(seconds);
    chart.setSegments(predictions, seconds);
    if (whole.speech) {
      chart.setProbabilities(overall);
      chart.setCourse(hops, Number(this.settings.hop), seconds);
    }
    const player = new Player(this.file.name, this.source, seconds, chart);
    this.setBody(
      element('p', { className: 'verdict' }, title, ` · ${clock(seconds)}`),
      player.element,
      chart.element,
      segmentList(this.file.name, predictions, player),
      element('p', { className: 'quiet', textContent: about(whole, cancelled, hops, seconds, Number(this.settings.window)) }),
    );
    announce(`${this.file.name}: ${title.textContent}`);
  }
}

function about(whole, cancelled, hops, seconds, window) {
  if (cancelled) return 'The channels of the recording have opposite phases and cancel each other in the mix. Choose one channel in the settings, then add the file again.';
  if (!whole.speech) return 'The recording has no sound above its noise floor, so a label would mean nothing.';
  if (seconds <= window) return `The recording is not longer than a window of ${window} s, so there is no course over time.`;
  const gaps = hops.includes(null) ? ' A gap has no speech.' : '';
  return `The bars are for the whole recording. The areas are for windows of ${window} s; the full height is 100 %.${gaps}`;
}

// A button for each segment of a file, which plays it.
function segmentList(name, segments, player) {
  const buttons = segments.map((segment) => {
    const times = `${clock(segment.start).replace(' s', '')} – ${clock(segment.end)}`;
    const verdict = segment.speech ? [isolated(segment.label), ` ${percent(segment.probability)}`] : ['no speech'];
    const button = element('button', { type: 'button', 'aria-pressed': false },
      element('span', { className: 'unseen', textContent: 'Play ' }),
      element('span', { 'aria-hidden': true, textContent: '▶ ' }),
      `${times} `,
      element('b', {}, ...verdict));
    button.addEventListener('click', () => player.play(segment));
    player.add(segment, button);
    return element('li', {}, button);
  });
  const list = element('ol', { className: 'segments', 'aria-label': `Segments of ${name}` }, ...buttons);
  return element('details', { open: segments.length <= MAX_OPEN }, element('summary', { textContent: segments.length === 1 ? '1 segment' : `${segments.length} segments` }), list);
}

// Plays the recording or a segment of it, and moves the line in the chart.
class Player {
  constructor(name, source, seconds, chart) {
    this.seconds = seconds;
    this.chart = chart;
    this.segments = [];
    this.audio = element('audio', { controls: true, preload: 'metadata', src: source, 'aria-label': name });
    this.element = element('div', { className: 'player' }, this.audio);
    this.audio.addEventListener('play', () => this.follow());
    this.audio.addEventListener('timeupdate', () => this.update());
    this.audio.addEventListener('pause', () => this.setSegment(null));
    this.audio.addEventListener('error', () => this.cannotPlay());
    chart.onTime((share) => this.play(this.segments.find(({ segment }) => share * seconds < segment.end)?.segment));
  }

  add(segment, button) {
    this.segments.push({ segment, button });
  }

  // Plays a segment from its start, or stops it.
  play(segment) {
    if (!segment || this.audio.error) return;
    if (this.segment === segment) {
      this.audio.pause();
      return;
    }
    for (const other of document.querySelectorAll('audio')) if (other !== this.audio) other.pause();
    this.setSegment(segment);
    this.audio.currentTime = segment.start;
    this.audio.play().catch(() => this.setSegment(null));
  }

  setSegment(segment) {
    this.segment = segment;
    for (const { segment: other, button } of this.segments) button.setAttribute('aria-pressed', other === segment);
    this.show();
  }

  // The events of a player are too rare for a line that moves, but they also come while the page is hidden.
  follow() {
    this.update();
    if (!this.audio.paused) requestAnimationFrame(() => this.follow());
  }

  update() {
    if (this.segment && this.audio.currentTime >= this.segment.end) this.audio.pause();
    this.show();
  }

  show() {
    const { start = 0, end = 0 } = this.segment ?? {};
    this.chart.setPosition(this.audio.currentTime / this.seconds, start / this.seconds, end / this.seconds);
  }

  cannotPlay() {
    this.element.replaceChildren(element('p', { className: 'quiet', textContent: 'This browser cannot play the format of the file. The result does not depend on that.' }));
    for (const { button } of this.segments) button.disabled = true;
  }
}

function delay(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
