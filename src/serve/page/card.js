// The model card: facts about the model, and its text, which is Markdown with headings, paragraphs, tables,
// lists, bold words and code.
import { byId, element, isolated, percent } from './dom.js';

const CALIBRATED = 'The probabilities are calibrated: of recordings like those of the training, about 70 of 100 predictions with 70 % are right. Of other recordings, fewer are.';
const UNCALIBRATED = 'The probabilities are not calibrated, and are usually too high.';

export function showModel(model) {
  const { name, classes, scores, corpora, notes } = model;
  const tested = model.speakers_shared ? 'speakers of the training' : 'new speakers';
  for (const place of document.querySelectorAll('.model-name')) place.textContent = name;
  byId('classes').replaceChildren(...classes.flatMap((name, index) => [index ? ', ' : '', isolated(name)]));
  byId('caution').textContent = caution(model);
  byId('calibration').textContent = model.calibrated ? CALIBRATED : UNCALIBRATED;
  byId('model-notes').replaceChildren(...notes.map((note) => element('p', { textContent: note })));
  byId('figures').replaceChildren(
    ...(scores ? [
      figure(percent(scores.uar), `UAR on ${tested}`),
      figure(percent(scores.accuracy), `accuracy on ${tested}`),
      ...(scores.interval ? [figure(scores.interval.map((value) => Math.round(100 * value)).join(' – ') + ' %', '95 % interval by speakers')] : []),
      figure(scores.speakers ? `${scores.clips} / ${scores.speakers}` : scores.clips, scores.speakers ? 'test clips / speakers' : 'test clips'),
    ] : []),
    figure(percent(1 / classes.length), 'UAR of chance'),
  );
  byId('corpora').replaceChildren(...corpora.map((corpus) => element('tr', {},
    element('th', { scope: 'row', textContent: corpus.title ?? corpus.name }),
    element('td', { textContent: corpus.recordings }),
    element('td', { textContent: corpus.speakers }),
    element('td', { textContent: corpus.licence ?? 'unknown' }))));
  byId('licence').textContent = model.licence;
  byId('not-for').replaceChildren(...model.not_for.map((text) => element('li', {}, ...words(text))));
  showRobustness(model.robustness);
  byId('card').hidden = !model.card;
  if (model.card) byId('card-text').replaceChildren(...markdown(model.card));
}

// The results of `emovox stress`, if the run has them.
function showRobustness(stress) {
  byId('robustness').hidden = !stress;
  if (!stress) return;
  byId('disturbances').replaceChildren(...stress.disturbances.map(({ name, uar_change: change, unchanged }) => element('tr', {},
    element('th', { scope: 'row', textContent: name }),
    element('td', { textContent: `${change < 0 ? '−' : '+'}${Math.abs(100 * change).toFixed(1)}` }),
    element('td', { textContent: percent(unchanged) }))));
}

function caution({ scores, synthetic, speakers_shared: shared }) {
  if (synthetic) return 'This model was trained on synthetic speech only. Its predictions for human speech mean little.';
  if (!scores || shared) return 'This model has no score on speakers that are not in its training.';
  return `It is often wrong: on speakers that are not in its training, it was right for ${Math.round(100 * scores.accuracy)} of 100 recordings.`;
}

function figure(value, name) {
  return element('div', {}, element('b', { textContent: value }), element('span', { textContent: name }));
}

function markdown(text) {
  return text.trim().split(/\n\s*\n/).flatMap(block);
}

function block(text) {
  const lines = text.split('\n');
  const heading = text.match(/^(#+) (.*)/);
  if (heading) {
    const rest = lines.slice(1).join('\n');
    return [element(`h${Math.min(6, heading[1].length + 2)}`, {}, ...words(heading[2])), ...(rest ? block(rest) : [])];
  }
  if (text.startsWith('|')) return [table(lines)];
  if (text.startsWith('- ')) {
    const items = text.slice(2).split(/\n- /);
    return [element('ul', {}, ...items.map((item) => element('li', {}, ...words(item))))];
  }
  return [element('p', {}, ...words(text))];
}

function table(lines) {
  const rows = lines.map((line) => line.replace(/^\||\|$/g, '').split('|').map((cell) => cell.trim()));
  const [head, , ...body] = rows;
  const cell = (text, scope) => (scope && text ? element('th', { scope }, ...words(text)) : element('td', {}, ...words(text)));
  const row = (cells) => element('tr', {}, ...cells.map((text, index) => cell(text, index === 0 && 'row')));
  const titles = element('tr', {}, ...head.map((text) => cell(text, 'col')));
  const label = `Table: ${head.filter(Boolean).join(', ')}`;
  return element('div', { className: 'scroll', tabIndex: 0, role: 'region', 'aria-label': label },
    element('table', {}, element('thead', {}, titles), element('tbody', {}, ...body.map(row))));
}

// Text with **bold** and `code`.
function words(text) {
  return text.split(/(\*\*.+?\*\*|`.+?`)/s).map((part) => {
    if (/^\*\*.+\*\*$/s.test(part)) return element('b', { textContent: part.slice(2, -2) });
    if (/^`.+`$/s.test(part)) return element('code', { textContent: part.slice(1, -1) });
    return part;
  });
}
