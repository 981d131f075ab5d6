// The chart of a recording or of a live stream: for each class its probability as a bar, and beside it the
// course of the probability over time. The waveform and the segments are above, the seconds below.
import { clock, element, percent } from './dom.js';

const HEIGHT = 100; // of a course, in units of its own; the page stretches it
const MAX_TICKS = 6;

export class Chart {
  constructor(classes) {
    this.classes = classes;
    this.wave = course('wave');
    this.track = element('div', { className: 'course track' });
    this.axis = element('div', { className: 'course axis' });
    this.rows = classes.map((name, index) => {
      const bar = element('i', { className: `color${index % 8}` });
      const row = {
        item: element('li', { className: 'row' }),
        bar,
        text: element('b'),
        course: course(`color${index % 8}`),
      };
      const gauge = element('span', { className: 'gauge', 'aria-hidden': true }, bar);
      row.item.append(element('span', { className: 'name', textContent: name }), gauge, row.text, row.course);
      return row;
    });
    this.element = element('div', { className: 'chart' },
      unlabelled('waveform', this.wave),
      unlabelled('segments', this.track),
      element('ol', { className: 'classes' }, ...this.rows.map((row) => row.item)),
      unlabelled('', this.axis));
    this.setProbabilities(null);
    this.setPosition(-1);
  }

  // One probability for each class, or null without a prediction.
  setProbabilities(probabilities) {
    const best = probabilities ? Math.max(...probabilities) : NaN;
    this.rows.forEach(({ item, bar, text }, index) => {
      const probability = probabilities?.[index];
      bar.style.width = share(probability ?? 0, 1);
      text.textContent = probabilities ? percent(probability) : '–';
      item.classList.toggle('best', probability === best);
    });
  }

  // Amplitudes from 0 to 1 of equal pieces.
  setWaveform(peaks) {
    const loudest = Math.max(...peaks, 0.001);
    const upper = peaks.map((peak, index) => `${index} ${round(HEIGHT / 2 * (1 - peak / loudest) - 0.5)}`);
    const lower = peaks.map((peak, index) => `${index} ${round(HEIGHT / 2 * (1 + peak / loudest) + 0.5)}`);
    draw(this.wave, `M${upper.join('L')}L${lower.reverse().join('L')}Z`, Math.max(1, peaks.length - 1));
  }

  // Probabilities of all classes for each hop; null for a hop without a prediction. A hop is `hop` seconds
  // long, and the last one ends after `seconds` seconds.
  setCourse(hops, hop, seconds) {
    this.rows.forEach(({ course }, index) => {
      draw(course, area(hops.map((row) => row && row[index]), hop, seconds), seconds);
    });
  }

  // Names of times on the axis, from 0 to `seconds`.
  setSeconds(seconds, label = clock) {
    const step = [0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600].find((step) => seconds / step <= MAX_TICKS) ?? seconds;
    const times = Array.from({ length: Math.floor(seconds / step) + 1 }, (_, index) => index * step);
    this.axis.replaceChildren(...times.map((time) => {
      const tick = element('span', { textContent: label(time, step < 1 ? 1 : 0) });
      tick.style.left = share(time, seconds);
      tick.classList.toggle('end', time > 0.95 * seconds);
      return tick;
    }));
  }

  // Blocks with the label of each segment.
  setSegments(segments, seconds) {
    this.track.replaceChildren(...segments.map(({ start, end, label }) => {
      const color = `color${this.classes.indexOf(label) % 8}`;
      const block = element('div', { className: `block ${color}` }, element('span', { textContent: label ?? 'no speech' }));
      block.style.left = share(start, seconds);
      block.style.width = share(end - start, seconds);
      return block;
    }));
  }

  // The position of the player, and the segment that is played: fractions of the recording from 0 to 1. A
  // position below 0 is not shown.
  setPosition(at, from = 0, to = 0) {
    for (const [name, value] of Object.entries({ at, from, to })) this.element.style.setProperty(`--${name}`, value);
  }

  // Calls take(share) for a click on the time from 0 to 1.
  onTime(take) {
    this.element.classList.add('clickable');
    this.element.addEventListener('click', (event) => {
      const { left, width } = event.target.closest('.course')?.getBoundingClientRect() ?? {};
      if (width) take((event.clientX - left) / width);
    });
  }
}

// A row that is not a class. It has no text for screen readers, which get the list of segments.
function unlabelled(name, content) {
  return element('div', { className: 'row', 'aria-hidden': true }, element('span', { className: 'name', textContent: name }), content);
}

// A place for a curve over time.
function course(color) {
  const picture = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  picture.setAttribute('preserveAspectRatio', 'none');
  picture.append(document.createElementNS('http://www.w3.org/2000/svg', 'path'));
  const made = element('div', { className: `course ${color}`, 'aria-hidden': true });
  made.append(picture);
  return made;
}

function draw(course, path, width) {
  course.firstChild.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
  course.firstChild.firstChild.setAttribute('d', path);
}

// The area below values from 0 to 1 at the centres of the hops, with gaps where a value is null.
function area(values, hop, seconds) {
  let path = '';
  let first = 0;
  while (first < values.length) {
    let end = first;
    while (end < values.length && values[end] !== null) end += 1;
    if (end > first) {
      const from = first * hop;
      const to = Math.min(end * hop, seconds);
      const points = values.slice(first, end).map((value, index) => {
        const start = (first + index) * hop;
        return [(start + Math.min(start + hop, seconds)) / 2, value];
      });
      const edges = [[from, points[0][1]], ...points, [to, points.at(-1)[1]]];
      const line = edges.map(([time, value]) => `${round(time)} ${round(HEIGHT * (1 - value))}`);
      path += `M${round(from)} ${HEIGHT}L${line.join('L')}L${round(to)} ${HEIGHT}Z`;
    }
    first = end + 1;
  }
  return path;
}

const round = (value) => Math.round(1000 * value) / 1000;
const share = (part, whole) => `${100 * part / whole}%`;
