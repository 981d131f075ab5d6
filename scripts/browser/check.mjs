// node check.mjs WORK SHOTS: opens the pages in WORK, uses them like a reader, and writes screenshots to SHOTS.
import assert from 'node:assert/strict';
import path from 'node:path';
import { chromium } from 'playwright-core';

const [work, shots] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required'],
});

async function open(file, theme = 'light') {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, colorScheme: theme });
  const errors = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  page.on('request', (request) => {
    if (!/^(file|data|blob):/.test(request.url())) errors.push('asks for ' + request.url());
  });
  const started = Date.now();
  await page.goto('file://' + path.resolve(work, file));
  console.log(`${file}: loaded in ${Date.now() - started} ms`);
  return { page, errors };
}

const count = async (page) => Number((await page.textContent('#count')).match(/^(\d+) of/)[1]);
const settled = (page, wanted) => page.waitForFunction((n) => document.getElementById('count').textContent.startsWith(n + ' of'), wanted);
const plays = (page, place) => page.waitForFunction((n) => {
  const player = document.querySelector(`#list li[data-place="${n}"] audio`);
  return player && !player.paused && player.currentTime > 0.05;
}, place, { timeout: 10_000 });

for (const file of ['runs/many/report.html', 'embedded.html']) {
  const { page, errors } = await open(file);
  await settled(page, 2000);

  // The most confident mistake comes first.
  assert.match(await page.textContent('#list li:first-child .verdict'), /^✗/);

  // A click on a cell lists only its clips; a second click lists all clips.
  const cell = page.locator('#confusion button[data-truth="0"][data-predicted="1"]');
  const wanted = Number(await cell.locator('b').textContent());
  assert.ok(wanted > 0);
  await cell.click();
  await settled(page, wanted);
  const classes = await page.locator('#confusion tbody th').allTextContents();
  for (const text of await page.locator('#list .verdict').allTextContents()) {
    assert.ok(text.startsWith(`✗ ${classes[0]}, predicted as ${classes[1]} `), text);
  }
  await cell.click();
  await settled(page, 2000);

  // Filters by speaker and class.
  const speakers = await page.locator('select[name=speaker] option').count();
  assert.ok(speakers > 2);
  await page.selectOption('select[name=speaker]', { index: 1 });
  const ofSpeaker = await count(page);
  assert.ok(ofSpeaker > 0 && ofSpeaker < 2000);
  await page.selectOption('select[name=show]', 'wrong');
  assert.ok(await count(page) < ofSpeaker);
  await page.click('button[type=reset]');
  await settled(page, 2000);

  // Keys do nothing outside the section of the clips. In it, the keyboard plays the next clip, and the one after it.
  await page.locator('.scroll').first().focus();
  for (const key of ['n', 'ArrowDown']) await page.keyboard.press(key);
  assert.equal(await page.locator('#list li.playing').count(), 0);
  await page.locator('#clips-title').focus();
  await page.keyboard.press('n');
  await plays(page, 0);
  await page.keyboard.press('ArrowDown');
  await plays(page, 1);
  assert.equal(await page.locator('#list li.playing').count(), 1);
  assert.equal(await page.evaluate(() => [...document.querySelectorAll('audio')].filter((player) => !player.paused).length), 1);
  await page.keyboard.press(' ');
  await page.waitForFunction(() => [...document.querySelectorAll('audio')].every((player) => player.paused));
  await page.keyboard.press('Escape');

  // Scrolls to the last of 2000 clips.
  const started = Date.now();
  for (let rows = 0; rows < 2000;) {
    await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
    await page.waitForFunction((n) => document.querySelectorAll('#list li').length > n, rows);
    rows = await page.locator('#list li').count();
  }
  console.log(`${file}: scrolled through 2000 clips in ${Date.now() - started} ms`);

  // A hostile name is shown as text.
  await page.selectOption('select[name=order]', 'name');
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  assert.ok((await page.content()).includes('&lt;script&gt;window.hacked'), 'the hostile name is listed');
  assert.deepEqual(errors, []);
  await page.close();
}

for (const theme of ['light', 'dark']) {
  const { page, errors } = await open('runs/many/report.html', theme);
  await settled(page, 2000);
  await page.waitForTimeout(300);
  await page.screenshot({ path: path.join(shots, `report-${theme}.png`) });
  await page.locator('#confusion').scrollIntoViewIfNeeded();
  await page.locator('#confusion button[data-truth="0"][data-predicted="1"]').click();
  await page.waitForTimeout(600);
  await page.screenshot({ path: path.join(shots, `clips-${theme}.png`) });
  await page.locator('.picture').first().scrollIntoViewIfNeeded();
  await page.waitForTimeout(200);
  await page.screenshot({ path: path.join(shots, `curves-${theme}.png`) });
  assert.deepEqual(errors, []);
  const other = await open('comparison.html', theme);
  await other.page.screenshot({ path: path.join(shots, `comparison-${theme}.png`) });
  assert.deepEqual(other.errors, []);
}
await browser.close();
console.log('all is well');
