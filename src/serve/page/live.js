// Live mode: the microphone goes to the server, which answers with a line for each second.
import { getModel, openStream } from './api.js';
import { Chart } from './chart.js';
import { announce, byId, clock, decibels, element, isolated, percent } from './dom.js';
import { level, openMicrophone } from './microphone.js';

const SHOWN = 30; // seconds of the chart
const LISTED = 600; // lines
const MAX_TRIES = 5; // to connect again
const MAX_BUFFERED = 1 << 20; // bytes that wait for the network
const MAX_WAIT = 5000; // milliseconds that the server has for its last line
const GOING_AWAY = 1001; // code of a connection that a server closes because it stops
const LOST = 1006; // code of a connection that was not closed by the other side

export class Live {
  // `ended` is called at the end; `needsToken` is called when the server wants a token.
  constructor(model, { ended, needsToken }) {
    Object.assign(this, { model, ended, needsToken });
    this.lines = [];
    this.tries = 0;
    this.offset = 0;
    this.meter = byId('live-level');
    this.now = byId('live-now');
    this.message = byId('live-message');
    this.list = byId('live-lines');
    this.chart = new Chart(model.classes);
    this.chart.element.classList.add('live');
    this.chart.setSeconds(SHOWN, (time) => (time === SHOWN ? 'now' : `−${SHOWN - time} s`));
    byId('live-chart').replaceChildren(this.chart.element);
    this.list.replaceChildren();
    this.setNow('Waiting for the first second', '');
  }

  async start() {
    this.setMessage('');
    try {
      this.microphone = await openMicrophone((samples) => this.take(samples), () => this.fail('The microphone was disconnected.'));
    } catch (error) {
      this.fail(error.message);
      return;
    }
    if (this.stopped) this.microphone.close();
    else this.connect();
  }

  connect() {
    const socket = openStream(this.microphone.rate);
    this.socket = socket;
    socket.addEventListener('open', () => {
      this.opened = true;
      this.setMessage('The microphone is sent to the server.');
    });
    socket.addEventListener('message', ({ data }) => {
      const line = JSON.parse(data);
      if (line.error) this.reason = line.error;
      else this.show(line);
    });
    socket.addEventListener('close', ({ code }) => this.closed(code));
  }

  take(samples) {
    this.meter.value = level(samples);
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    if (this.socket.bufferedAmount > MAX_BUFFERED) this.fail('The connection to the server is too slow for live sound.');
    else this.socket.send(samples);
  }

  // Ends the stream; the server sends the line of the last hop before it closes the connection.
  stop() {
    if (this.stopped) return;
    this.stopped = true;
    this.microphone?.close();
    if (this.socket?.readyState !== WebSocket.OPEN) {
      this.end('Stopped.');
      return;
    }
    this.socket.send('end');
    this.setMessage('Waiting for the last line.');
    this.timer = setTimeout(() => this.socket.close(), MAX_WAIT);
  }

  closed(code) {
    if (this.finished) return;
    const isLost = code === LOST || code === GOING_AWAY;
    if (this.stopped) {
      this.end('Stopped.');
    } else if (!this.opened) {
      this.explainRefusal();
    } else if (this.reason && !isLost) {
      this.fail(this.reason.message);
    } else if (isLost && this.tries < MAX_TRIES) {
      this.tries += 1;
      this.setMessage(`The connection to the server was lost. Attempt ${this.tries} of ${MAX_TRIES} to connect again follows in ${this.tries} s.`);
      this.timer = setTimeout(() => this.connect(), 1000 * this.tries);
      this.offset = this.lines.at(-1)?.time ?? 0;
    } else {
      this.fail('The connection to the server was lost. Check that emovox serve is running, then start again.');
    }
  }

  // A browser does not report the reason of a connection that fails. A request for the model usually fails for the
  // same reason, unless the server has too many streams.
  async explainRefusal() {
    try {
      await getModel();
    } catch (error) {
      if (this.finished) return;
      this.fail(error.message);
      if (error.needsToken) this.needsToken(error);
      return;
    }
    this.fail(`The server did not accept the stream. It accepts at most ${this.model.limits.streams} at once: try again later.`);
  }

  fail(message) {
    if (this.finished) return;
    this.end(message);
    this.message.classList.add('error');
  }

  end(message) {
    if (this.finished) return;
    this.finished = true;
    this.stopped = true;
    clearTimeout(this.timer);
    this.microphone?.close();
    this.socket?.close();
    this.meter.value = this.meter.min;
    this.setMessage(message);
    this.ended();
  }

  setMessage(text) {
    this.message.classList.remove('error');
    this.message.textContent = text;
  }

  setNow(label, details) {
    this.now.replaceChildren(element('b', {}, isolated(label)), ` ${details}`);
  }

  // Shows a line of the server. After a lost connection the server counts from 0 again.
  show(line) {
    this.tries = 0;
    line.time += this.offset;
    const { classes } = this.model;
    const probabilities = line.speech ? classes.map((name) => line.probabilities[name]) : null;
    const last = this.lines.at(-1);
    this.lines.push({ ...line, probabilities });
    if (this.lines.length > SHOWN) this.lines.shift();
    const hops = [...Array(SHOWN).fill(null), ...this.lines.map((shown) => shown.probabilities)].slice(-SHOWN);
    this.chart.setCourse(hops, 1, SHOWN);
    this.chart.setProbabilities(probabilities);
    const label = line.speech ? line.label : 'silence';
    const details = line.speech ? percent(line.probability) : `${decibels(line.level_db)}, no prediction`;
    this.setNow(label, details);
    if (!last || label !== (last.speech ? last.label : 'silence')) announce(`${label} ${details}`);
    const item = element('li', { className: line.speech ? '' : 'quiet' }, element('span', { textContent: clock(line.time, Number.isInteger(line.time) ? 0 : 1) }), element('b', { textContent: label }), details);
    this.list.prepend(item);
    if (this.list.children.length > LISTED) this.list.lastChild.remove();
  }
}
