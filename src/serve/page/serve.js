// The page of `emovox serve`: choose, drop or record recordings, and see the predictions of the model.
import { getModel, setToken } from './api.js';
import { showModel } from './card.js';
import { announce, byId, clock, megabytes } from './dom.js';
import { Live } from './live.js';
import { level, openMicrophone, wavFile } from './microphone.js';
import { Result } from './result.js';

const AT_ONCE = 2; // requests, so that one page does not fill the queue of the server

let model;
let recording;
let live;
let recordings = 0;
const results = new Map();
const waiting = [];
const jobs = [];
let running = 0;

function runJobs() {
  while (running < AT_ONCE && jobs.length) {
    running += 1;
    jobs.shift()().finally(() => {
      running -= 1;
      runJobs();
    });
  }
}

const queue = (job) => {
  jobs.push(job);
  runJobs();
};

// The model, and with it the page: nothing else works before.
async function load() {
  try {
    model = await getModel();
  } catch (error) {
    if (error.needsToken) {
      askForToken(error);
    } else {
      showError(error.message);
      byId('load-again').hidden = false;
    }
    return;
  }
  showError('');
  byId('load-again').hidden = true;
  byId('work').hidden = false;
  byId('about').hidden = false;
  if (!byId('token').hidden) byId('file').focus();
  byId('token').hidden = true;
  showModel(model);
  const { body_bytes: bytes, seconds } = model.limits;
  byId('limits').textContent = `At most ${megabytes(bytes)} and ${seconds < 120 ? `${seconds} seconds` : `${Math.floor(seconds / 60)} minutes`} for each.`;
  for (const result of results.values()) if (result.lacksToken) result.start();
}

function showError(message) {
  byId('error').textContent = message;
}

function askForToken({ code, message }) {
  const form = byId('token');
  const field = form.elements.token;
  form.hidden = false;
  const wrong = code === 'token-wrong';
  field.setAttribute('aria-invalid', wrong);
  byId('token-error').textContent = wrong ? message : '';
  field.focus();
}

byId('token').addEventListener('submit', (event) => {
  event.preventDefault();
  setToken(event.target.elements.token.value);
  event.target.reset();
  load();
});
byId('load-again').addEventListener('click', load);

// Files wait until the settings are valid, so that a recording of the microphone is not lost.
function add(files) {
  waiting.push(...files);
  const form = byId('settings');
  if (!form.checkValidity()) {
    form.closest('details').open = true;
    form.reportValidity();
    return;
  }
  const { window, hop, smooth, channel } = form.elements;
  const settings = { window: window.value, hop: hop.value, smooth: smooth.value, channel: channel.value };
  for (const file of waiting.splice(0)) {
    const result = new Result(file, settings, model, { queue, needsToken: askForToken });
    results.set(result.element, result);
    byId('list').prepend(result.element);
    result.start();
  }
  countResults();
}

function countResults() {
  const shown = byId('list').children.length;
  byId('results').hidden = shown === 0;
  byId('remove-all').hidden = shown < 2;
}

byId('list').addEventListener('removed', () => {
  for (const element of results.keys()) if (!element.isConnected) results.delete(element);
  countResults();
  if (!results.size) byId('file').focus();
});
byId('remove-all').addEventListener('click', () => {
  for (const result of results.values()) result.dispose();
});

byId('settings').addEventListener('change', () => {
  if (waiting.length) add([]);
});
byId('file').addEventListener('change', ({ target }) => {
  add(target.files);
  target.value = '';
});
for (const kind of ['dragover', 'dragleave', 'drop']) {
  document.addEventListener(kind, (event) => {
    if (!model || !event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    byId('drop').classList.toggle('over', kind === 'dragover');
    if (kind === 'drop') add(event.dataTransfer.files);
  });
}

byId('record').addEventListener('click', () => (recording ? stopRecording() : startRecording()));

async function startRecording() {
  const started = { pieces: [], samples: 0 };
  recording = started;
  showRecording('');
  try {
    const microphone = await openMicrophone(takeSamples, () => stopRecording('The microphone was disconnected.'));
    // The recording was stopped while the browser asked for permission.
    if (recording !== started) {
      microphone.close();
      return;
    }
    started.microphone = microphone;
    announce('Recording');
  } catch (error) {
    if (recording !== started) return;
    recording = null;
    showRecording(error.message);
  }
}

function takeSamples(samples) {
  if (!recording?.microphone) return;
  const { pieces, microphone } = recording;
  pieces.push(samples);
  recording.samples += samples.length;
  const seconds = recording.samples / microphone.rate;
  byId('record-level').value = level(samples);
  byId('record-time').textContent = clock(seconds);
  const { body_bytes: bytes, seconds: longest } = model.limits;
  // One second of room: for the header, and for samples that are under way.
  if (seconds + 1 > Math.min(longest, bytes / (2 * microphone.rate))) {
    stopRecording(`The recording ended after ${clock(seconds)}, the limit of this server.`);
  }
}

function stopRecording(message = '') {
  if (!recording) return;
  const { pieces, microphone } = recording;
  recording = null;
  microphone?.close();
  showRecording(message);
  if (!pieces.length) return;
  recordings += 1;
  add([wavFile(pieces, microphone.rate, `recording ${recordings}.wav`)]);
}

function showRecording(message) {
  byId('record').textContent = recording ? '■ Stop recording' : '● Record';
  byId('record').classList.toggle('on', Boolean(recording));
  byId('start-live').disabled = Boolean(recording);
  byId('recording').hidden = !recording;
  byId('record-time').textContent = 'Waiting for the microphone';
  byId('record-error').textContent = message;
}

byId('start-live').addEventListener('click', () => (live ? live.stop() : startLive()));

function startLive() {
  const ended = () => {
    live = null;
    showLive();
  };
  live = new Live(model, { ended, needsToken: askForToken });
  byId('live').hidden = false;
  showLive();
  live.start();
}

function showLive() {
  byId('start-live').textContent = live ? '■ Stop live mode' : '◉ Live';
  byId('start-live').classList.toggle('on', Boolean(live));
  byId('record').disabled = Boolean(live);
}

const root = document.documentElement;
byId('theme').addEventListener('click', () => {
  const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  root.dataset.theme = dark ? 'light' : 'dark';
});

load();
