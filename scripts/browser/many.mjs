// node many.mjs RUN CORPUS FOLDER N: writes predictions of N invented test clips into a run, and its split. The
// clips are links in FOLDER to recordings of the corpus.
import fs from 'node:fs';
import path from 'node:path';

const [run, corpus, folder, count] = process.argv.slice(2);
const lines = fs.readFileSync(path.join(run, 'split.csv'), 'utf8').trim().split('\n').slice(1);
const clips = lines.map((line) => line.split(','));
const classes = fs.readFileSync(path.join(run, 'predictions.csv'), 'utf8').split('\n')[0].trim().split(',').slice(4);
// A slash cannot be in a file name, but this ends a string, an attribute and an element.
const hostile = '"><script>window.hacked = true;//<img src=x onerror=window.hacked=1>.wav'.replaceAll('/', '');

let state = 7;
const random = () => (state = (state * 48271) % 2147483647) / 2147483647;
const quoted = (text) => `"${text.replaceAll('"', '""')}"`;
const rows = [['clip', 'speaker', 'truth', 'prediction', ...classes].join(',')];
const split = ['clip,speaker,label,corpus_label,part'];
fs.mkdirSync(folder, { recursive: true });
for (let index = 0; index < Number(count); index += 1) {
  const [file, speaker, label] = clips[index % clips.length];
  const name = index === 3 ? hostile : `clip-${String(index).padStart(4, '0')}.wav`;
  fs.symlinkSync(path.resolve(corpus, file), path.join(folder, name));
  const weights = classes.map((one) => random() ** 3 + (one === label ? 0.5 * random() : 0));
  const sum = weights.reduce((a, b) => a + b);
  const chances = weights.map((weight) => weight / sum);
  const said = classes[chances.indexOf(Math.max(...chances))];
  split.push([quoted(name), speaker, label, label, 'test'].join(','));
  rows.push([quoted(name), speaker, label, said, ...chances.map((chance) => chance.toFixed(6))].join(','));
}
fs.writeFileSync(path.join(run, 'predictions.csv'), rows.join('\n') + '\n');
fs.writeFileSync(path.join(run, 'split.csv'), split.join('\n') + '\n');
