// node serve.mjs URL TOKEN_URL TOKEN DEMO AUDIO SHOTS: uses the page of `emovox serve` like its users, and writes
// screenshots to SHOTS. The server at TOKEN_URL needs TOKEN. DEMO is the demo corpus, AUDIO is tests/data/audio.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const [url, tokenUrl, token, demo, audio, shots] = process.argv.slice(2);
const DEADLINE = 60_000; // of each wait, in milliseconds
const axe = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const clip = (emotion) => path.join(demo, 'v04', `demo-v04-s01-${emotion}-1.wav`);
const work = fs.mkdtempSync(path.join(os.tmpdir(), 'serve-'));
process.on('exit', () => fs.rmSync(work, { recursive: true }));

// Four clips and then four seconds of silence, again and again.
const microphone = path.join(work, 'microphone.wav');
fs.writeFileSync(microphone, join(['happiness', 'anger', 'sadness', 'fear'].map(clip), 4));

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--autoplay-policy=no-user-gesture-required', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream', `--use-file-for-fake-audio-capture=${microphone}`],
});

// One WAV file of several with 16 bits and the same sample rate, with seconds of silence at the end.
function join(files, silence) {
  const all = files.map((file) => fs.readFileSync(file));
  const header = Buffer.from(all[0].subarray(0, 44));
  assert.equal(header.toString('latin1', 36, 40), 'data');
  const samples = Buffer.concat([...all.map((file) => file.subarray(44)), Buffer.alloc(silence * header.readUInt32LE(28))]);
  header.writeUInt32LE(36 + samples.length, 4);
  header.writeUInt32LE(samples.length, 40);
  return Buffer.concat([header, samples]);
}

// A WAV file of two channels with opposite phases, from one of one channel with 16 bits.
function opposite(file) {
  const mono = fs.readFileSync(file);
  const data = mono.subarray(44);
  const header = Buffer.from(mono.subarray(0, 44));
  const stereo = Buffer.alloc(2 * data.length);
  for (let at = 0; at < data.length; at += 2) {
    const sample = Math.max(-32767, data.readInt16LE(at));
    stereo.writeInt16LE(sample, 2 * at);
    stereo.writeInt16LE(-sample, 2 * at + 2);
  }
  header.writeUInt32LE(36 + stereo.length, 4);
  header.writeUInt16LE(2, 22);
  header.writeUInt32LE(2 * mono.readUInt32LE(28), 28);
  header.writeUInt16LE(4, 32);
  header.writeUInt32LE(stereo.length, 40);
  return Buffer.concat([header, stereo]);
}

// A page, and an error for everything that must not happen. `expected` is part of the
// message of the browser for a request that fails on purpose.
async function open({ address = url, theme = 'light', width = 1280, expected } = {}) {
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme: theme });
  page.setDefaultTimeout(DEADLINE);
  const errors = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    if (expected && message.text().includes(expected)) return;
    if (['error', 'warning'].includes(message.type())) errors.push(message.text());
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(address) && !request.url().startsWith('blob:')) errors.push('asks for ' + request.url());
  });
  page.on('websocket', (socket) => {
    if (!socket.url().startsWith(address.replace('http', 'ws'))) errors.push('connects to ' + socket.url());
  });
  await page.addInitScript(() => document.addEventListener('securitypolicyviolation', (event) => console.error('CSP: ' + event.violatedDirective)));
  await page.goto(address);
  return { page, errors };
}

const ready = (page) => page.locator('#work').waitFor();
const results = (page, wanted) => page.waitForFunction((n) => document.querySelectorAll('.verdict').length === n, wanted);
const isPlaying = (page) => page.waitForFunction(() => [...document.querySelectorAll('audio')].some((player) => !player.paused && player.currentTime > 0));
const isSilent = (page) => page.waitForFunction(() => [...document.querySelectorAll('audio')].every((player) => player.paused));

// A drop of a file with a name.
async function drop(page, file, name) {
  const transfer = await page.evaluateHandle(([bytes, name]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0))], name));
    return transfer;
  }, [fs.readFileSync(file).toString('base64'), name]);
  await page.dispatchEvent('#drop', 'dragover', { dataTransfer: transfer });
  await page.dispatchEvent('#drop', 'drop', { dataTransfer: transfer });
}

async function scenario(name, settings, use) {
  const started = Date.now();
  const { page, errors } = await open(settings);
  try {
    await use(page);
    assert.deepEqual(errors, []);
  } catch (error) {
    await page.screenshot({ path: path.join(shots, 'serve-failed.png'), fullPage: true });
    throw new Error(`${name}: ${error.message}; the page reported ${JSON.stringify(errors)}`, { cause: error });
  }
  await page.close();
  console.log(`${name}: ${Date.now() - started} ms`);
}

await scenario('a dropped file has the probabilities of the interface', {}, async (page) => {
  await ready(page);
  await drop(page, clip('anger'), 'voice.wav');
  await results(page, 1);
  const answer = await fetch(url + 'v1/predict', { method: 'POST', body: fs.readFileSync(clip('anger')), signal: AbortSignal.timeout(DEADLINE) });
  const [{ label, probabilities }] = await answer.json();
  const shown = await page.locator('.result .classes .row').evaluateAll((rows) => rows.map((row) => [row.querySelector('.name').textContent, row.querySelector('b').textContent]));
  assert.deepEqual(Object.fromEntries(shown), Object.fromEntries(Object.entries(probabilities).map(([name, value]) => [name, `${Math.round(100 * value)} %`])));
  assert.equal(await page.locator('.verdict b').textContent(), `${label}, ${Math.round(100 * probabilities[label])} %`);
  assert.equal(await page.locator('.result .row.best .name').textContent(), label);
  assert.match(await page.locator('#status').textContent(), new RegExp(`^voice.wav: ${label}, `));
  assert.match(await page.locator('.wave path').getAttribute('d'), /^M0 /);
});

await scenario('a hostile file name stays text', {}, async (page) => {
  await ready(page);
  const name = '<img src=x onerror="window.hacked = 1"><script>window.hacked = 1</script>.wav';
  await drop(page, clip('fear'), name);
  await results(page, 1);
  assert.equal(await page.locator('.result h3').textContent(), name);
  assert.equal(await page.locator('.result img, .result script').count(), 0);
  assert.equal(await page.evaluate(() => window.hacked), undefined);
});

await scenario('a segment plays from its start to its end', {}, async (page) => {
  await ready(page);
  await page.setInputFiles('#file', microphone);
  await results(page, 1);
  const button = page.locator('.segments button').last();
  await button.click();
  await isPlaying(page);
  assert.equal(await button.getAttribute('aria-pressed'), 'true');
  assert.ok(await page.locator('audio').evaluate((player) => player.currentTime) > 1, 'the last segment is not at the start');
  await isSilent(page);
  await page.waitForFunction(() => !document.querySelector('.segments button[aria-pressed=true]'));
  // A click on the waveform plays the segment of that time.
  await page.locator('.wave').click({ position: { x: 3, y: 20 } });
  await isPlaying(page);
  assert.equal(await page.locator('.segments button').first().getAttribute('aria-pressed'), 'true');
  // The second click on a segment stops it.
  await page.locator('.segments button').first().click();
  await isSilent(page);
  await page.waitForFunction(() => !document.querySelector('.segments button[aria-pressed=true]'));
});

await scenario('several files are listed, and removed', {}, async (page) => {
  await ready(page);
  await page.setInputFiles('#file', ['anger', 'fear', 'sadness'].map(clip));
  await results(page, 3);
  await page.locator('.result').first().getByRole('button', { name: 'Remove' }).click();
  await results(page, 2);
  await page.click('#remove-all');
  await results(page, 0);
  assert.ok(await page.locator('#results').isHidden());
});

await scenario('a format that the browser cannot play has a result', {}, async (page) => {
  await ready(page);
  await page.setInputFiles('#file', path.join(audio, 'aiff-s16-16000-2.aiff'));
  await results(page, 1);
  await page.getByText('This browser cannot play the format').waitFor();
  assert.ok(await page.locator('.segments button').first().isDisabled());
  assert.match(await page.locator('.wave path').getAttribute('d'), /^M0 /);
});

await scenario('a file that is not audio has an error in words', { expected: 'status of 422' }, async (page) => {
  await ready(page);
  const file = path.join(work, 'notes.wav');
  fs.writeFileSync(file, 'These are notes, not sound. '.repeat(20));
  await page.setInputFiles('#file', file);
  const error = page.locator('.result [role=alert]');
  await error.waitFor();
  assert.match(await error.textContent(), /^notes\.wav: not a WAV file/);
  await page.getByRole('button', { name: 'Try again: notes.wav' }).waitFor();
  await page.screenshot({ path: path.join(shots, 'serve-error.png'), fullPage: true });
});

await scenario('a file above the limit is not sent', {}, async (page) => {
  await ready(page);
  let requests = 0;
  page.on('request', (request) => { requests += request.url().includes('/v1/predict'); });
  await page.evaluate(() => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(25_000_001)], 'large.wav'));
    document.getElementById('drop').dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true }));
  });
  await page.getByText('This server accepts 25 MB.').waitFor();
  assert.equal(requests, 0);
});

await scenario('a recording without speech has no label', {}, async (page) => {
  await ready(page);
  const file = path.join(work, 'silence.wav');
  fs.writeFileSync(file, join([clip('anger')], 0).fill(0, 44));
  await page.setInputFiles('#file', file);
  await results(page, 1);
  assert.equal(await page.locator('.verdict b').textContent(), 'no speech');
  assert.equal(await page.locator('.result .row.best').count(), 0);
  const bars = await page.locator('.gauge i').evaluateAll((bars) => bars.map((bar) => bar.getBoundingClientRect().width));
  assert.ok(bars.every((width) => width === 0), 'the bars are empty');
  await page.screenshot({ path: path.join(shots, 'serve-no-speech.png'), fullPage: true });
});

await scenario('channels that cancel each other are explained', {}, async (page) => {
  await ready(page);
  const file = path.join(work, 'opposite.wav');
  fs.writeFileSync(file, opposite(clip('anger')));
  await page.setInputFiles('#file', file);
  await page.getByText('have opposite phases and cancel each other in the mix').waitFor();
  await page.getByText('Settings for files').click();
  await page.getByLabel('channel').selectOption('left');
  await page.setInputFiles('#file', file);
  await results(page, 2);
  assert.match(await page.locator('.verdict b').first().textContent(), /^\w+, \d+ %$/);
  assert.equal(await page.getByText('have opposite phases').count(), 1);
});

await scenario('an invalid setting is reported, and no request is sent', {}, async (page) => {
  await ready(page);
  let requests = 0;
  page.on('request', (request) => { requests += request.url().includes('/v1/predict'); });
  await page.getByText('Settings for files').click();
  await page.getByLabel('hop').fill('');
  await page.getByText('Settings for files').click();
  await page.setInputFiles('#file', clip('anger'));
  await page.waitForFunction(() => document.activeElement.name === 'hop');
  assert.equal(requests, 0);
  // The file waits for a valid setting.
  await page.getByLabel('hop').fill('1');
  await page.getByLabel('hop').blur();
  await results(page, 1);
  assert.equal(requests, 1);
});

await scenario('the settings are sent', {}, async (page) => {
  await ready(page);
  await page.getByText('Settings for files').click();
  for (const [name, value] of [['window', '1'], ['hop', '0.2'], ['smoothing', '0.6']]) await page.getByLabel(name).fill(value);
  await page.getByLabel('channel').selectOption('left');
  const request = page.waitForRequest('**/v1/predict?*');
  await page.setInputFiles('#file', path.join(audio, 'aiff-s16-16000-2.aiff'));
  const query = new URL((await request).url()).searchParams;
  assert.deepEqual(['window', 'hop', 'smooth', 'channel'].map((name) => query.get(name)), ['1', '0.2', '0.6', 'left']);
  assert.ok(!query.has('name'), 'the name of the file is not sent');
  await results(page, 1);
});

await scenario('a request can be cancelled, and sent again', {}, async (page) => {
  await ready(page);
  await page.route('**/v1/predict?*', () => {});
  await page.setInputFiles('#file', clip('anger'));
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByText('Cancelled.').waitFor();
  // The focus is not lost.
  assert.match(await page.evaluate(() => document.activeElement.textContent), /Try again/);
  await page.unroute('**/v1/predict?*');
  await page.keyboard.press('Enter');
  await results(page, 1);
});

await scenario('a file that was deleted is explained', { expected: 'ERR_FILE_NOT_FOUND' }, async (page) => {
  await ready(page);
  const file = path.join(work, 'deleted.wav');
  fs.copyFileSync(clip('anger'), file);
  await page.route('**/v1/predict?*', () => {});
  await page.setInputFiles('#file', file);
  await page.getByRole('button', { name: 'Cancel' }).click();
  fs.rmSync(file);
  await page.getByRole('button', { name: /^Try again: / }).click();
  await page.getByText('the browser cannot read the file').waitFor();
});

await scenario('a busy server is asked again', { expected: 'status of 503' }, async (page) => {
  await ready(page);
  let requests = 0;
  await page.route('**/v1/predict?*', (route) => {
    requests += 1;
    if (requests > 1) return route.continue();
    const error = { code: 'queue-full', message: 'the queue is full' };
    return route.fulfill({ status: 503, headers: { 'retry-after': '1' }, contentType: 'application/json', body: JSON.stringify({ error }) });
  });
  await page.setInputFiles('#file', clip('anger'));
  await page.getByText('The server is busy. Attempt 2 of 5').waitFor();
  await results(page, 1);
  assert.equal(requests, 2);
});

await scenario('a recording of the microphone has a result', {}, async (page) => {
  await ready(page);
  await page.click('#record');
  await page.waitForFunction(() => parseFloat(document.getElementById('record-time').textContent) >= 2.5);
  await page.click('#record');
  await results(page, 1);
  assert.equal(await page.locator('.result h3').textContent(), 'recording 1.wav');
  await page.waitForFunction(() => document.querySelector('audio').duration >= 2.4);
  assert.match(await page.locator('.verdict b').textContent(), /^\w+, \d+ %$/);
});

await scenario('a blocked microphone is explained', {}, async (page) => {
  await ready(page);
  await page.evaluate(() => {
    navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', 'NotAllowedError'));
  });
  await page.click('#record');
  await page.getByText('The browser blocked the microphone').waitFor();
  await page.click('#start-live');
  await page.locator('#live-message', { hasText: 'The browser blocked the microphone' }).waitFor();
  assert.match(await page.locator('#start-live').textContent(), /Live/);
});

await scenario('a recording can be stopped before the microphone is open', {}, async (page) => {
  await ready(page);
  await page.evaluate(() => {
    const { mediaDevices } = navigator;
    const getUserMedia = mediaDevices.getUserMedia.bind(mediaDevices);
    mediaDevices.getUserMedia = async (wanted) => {
      await new Promise((resolve) => { window.allowMicrophone = resolve; });
      window.microphone = await getUserMedia(wanted);
      return window.microphone;
    };
  });
  await page.click('#record');
  await page.getByText('Waiting for the microphone').waitFor();
  await page.click('#record');
  assert.match(await page.locator('#record').textContent(), /Record$/);
  await page.evaluate(() => window.allowMicrophone());
  await page.waitForFunction(() => window.microphone?.getTracks().every((track) => track.readyState === 'ended'));
  assert.ok(await page.locator('#recording').isHidden());
});

await scenario('live mode has a line each second, and shows silence', {}, async (page) => {
  await ready(page);
  await page.click('#start-live');
  await page.waitForFunction(() => {
    const labels = [...document.querySelectorAll('#live-lines b')].map((label) => label.textContent);
    return labels.includes('silence') && labels.some((label) => label !== 'silence');
  });
  assert.match(await page.locator('#live-lines li', { hasText: 'silence' }).first().textContent(), /−?\d+ dB, no prediction/);
  await page.click('#start-live');
  await page.locator('#live-message', { hasText: 'Stopped.' }).waitFor();
  const times = await page.locator('#live-lines span').allTextContents();
  const seconds = times.map((time) => parseFloat(time)).reverse();
  seconds.slice(0, -1).forEach((second, index) => assert.equal(second, index + 1, 'one line for each second'));
});

await scenario('live mode connects again', {}, async (page) => {
  let connections = 0;
  await page.routeWebSocket(/v1\/stream/, (socket) => {
    connections += 1;
    const server = socket.connectToServer();
    if (connections > 1) return;
    server.onMessage((message) => {
      socket.send(message);
      socket.close({ code: 1001 });
    });
  });
  await page.reload();
  await ready(page);
  await page.click('#start-live');
  await page.getByText('Attempt 1 of 5 to connect again').waitFor();
  await page.waitForFunction(() => document.querySelectorAll('#live-lines li').length >= 3);
  assert.equal(connections, 2);
  assert.match(await page.locator('#live-lines span').first().textContent(), /^[3-9] s/);
});

await scenario('the keyboard is enough', {}, async (page) => {
  const chooser = page.waitForEvent('filechooser');
  await ready(page);
  const focused = (selector) => page.evaluate((selector) => document.activeElement.matches(selector), selector);
  const tabTo = async (selector) => {
    for (let presses = 0; !(await focused(selector)); presses += 1) {
      assert.ok(presses < 40, `Tab does not reach ${selector}`);
      await page.keyboard.press('Tab');
      const outline = await page.evaluate(() => getComputedStyle(document.activeElement.id === 'file' ? document.getElementById('drop') : document.activeElement).outlineStyle);
      assert.notEqual(outline, 'none', 'the focus is visible');
    }
  };
  await tabTo('#file');
  await page.keyboard.press('Enter');
  await (await chooser).setFiles(microphone);
  await results(page, 1);
  await tabTo('.segments button');
  await page.keyboard.press('Space');
  await isPlaying(page);
  await page.keyboard.press('Enter');
  await isSilent(page);
  await page.locator('#card summary').focus();
  await page.keyboard.press('Enter');
  await page.locator('#card-text table').first().waitFor();
});

await scenario('the model card is complete', {}, async (page) => {
  await ready(page);
  const model = await (await fetch(url + 'v1/model', { signal: AbortSignal.timeout(DEADLINE) })).json();
  const about = await page.locator('#about').textContent();
  for (const { licence } of model.corpora) assert.ok(about.includes(licence), licence);
  assert.equal(await page.locator('#not-for li').count(), model.not_for.length);
  const card = await page.locator('#card-text').textContent();
  const plain = (text) => text.replace(/[*`|#\s-]/g, '');
  assert.equal(plain(card), plain(model.card), 'every letter of the card is shown');
  assert.equal(await page.locator('#card-text table').count(), model.card.match(/^\|--/gm).length);
});

await scenario('the button changes the colours', { theme: 'dark' }, async (page) => {
  await ready(page);
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await paper();
  await page.click('#theme');
  assert.equal(await paper(), 'rgb(255, 255, 255)');
  await page.click('#theme');
  assert.equal(await paper(), dark);
});

await scenario('a token is asked for, and used', { address: tokenUrl, expected: 'status of 401' }, async (page) => {
  const field = page.getByLabel('Access token');
  await field.waitFor();
  assert.ok(await page.locator('#work').isHidden());
  assert.ok(await field.evaluate((field) => field === document.activeElement));
  await page.keyboard.type('tökén');
  await page.keyboard.press('Enter');
  assert.ok(await field.evaluate((field) => field.validity.patternMismatch && field.title.startsWith('A token has only the characters')));
  await field.fill('');
  await page.keyboard.type('wrong-' + token);
  await page.keyboard.press('Enter');
  await page.locator('#token-error', { hasText: /\w+ \w+/ }).waitFor();
  assert.equal(await field.inputValue(), '');
  await page.screenshot({ path: path.join(shots, 'serve-token.png') });
  await page.keyboard.type(token);
  await page.keyboard.press('Enter');
  await ready(page);
  assert.ok(await field.isHidden());
  await page.setInputFiles('#file', clip('anger'));
  await results(page, 1);
  await page.click('#start-live');
  await page.locator('#live-lines li').first().waitFor();
  await page.click('#start-live');
  await page.locator('#live-message', { hasText: 'Stopped.' }).waitFor();
  assert.equal(await page.evaluate(() => localStorage.length + sessionStorage.length + document.cookie.length), 0);
  assert.ok(!page.url().includes(token));
});

await scenario('a server that does not answer is explained', { expected: 'ERR_INTERNET_DISCONNECTED' }, async (page) => {
  await ready(page);
  await page.context().setOffline(true);
  await page.setInputFiles('#file', clip('anger'));
  await page.getByText('The server does not answer').waitFor();
  await page.click('#start-live');
  await page.locator('#live-message', { hasText: 'The server does not answer' }).waitFor();
  await page.context().setOffline(false);
  await page.getByRole('button', { name: /^Try again: / }).click();
  await results(page, 1);
});

for (const [name, settings] of Object.entries({
  light: {},
  dark: { theme: 'dark' },
  phone: { width: 360 },
  'phone-dark': { width: 360, theme: 'dark' },
})) {
  await scenario(`looks, ${name}`, settings, async (page) => {
    await ready(page);
    await page.screenshot({ path: path.join(shots, `serve-start-${name}.png`) });
    await page.setInputFiles('#file', [clip('happiness'), microphone]);
    await results(page, 2);
    await page.click('#start-live');
    await page.waitForFunction(() => document.querySelectorAll('#live-lines li').length >= 8);
    await page.locator('#live').screenshot({ path: path.join(shots, `serve-live-${name}.png`) });
    await page.click('#start-live');
    await page.locator('#live-message', { hasText: 'Stopped.' }).waitFor();
    await page.locator('#card summary').click();
    await page.evaluate(() => window.scrollTo(0, 0));
    await page.screenshot({ path: path.join(shots, `serve-page-${name}.png`), fullPage: true });
    await page.locator('.result').first().screenshot({ path: path.join(shots, `serve-result-${name}.png`) });
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing is wider than the window');
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => axe.run());
    assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`), []);
  });
}

await browser.close();
console.log('all is well');
