// The dashboard in a real Chromium, as people use it. Run by tests/fleet/dashboard.rs, which is asked to do what a browser cannot: a line with a
// word goes out, and a line with the answer comes in.
//
//   node dashboard.mjs <dashboard> <the same behind closed doors> <token> <folder for screenshots>
//
// BRAMBLE_BROWSER_PARTS is the folder in which package.json was installed, BRAMBLE_CHROMIUM the browser.

import assert from 'node:assert/strict';
import { createInterface } from 'node:readline/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [dashboard, closed, token, screens] = process.argv.slice(2);
const parts = join(process.env.BRAMBLE_BROWSER_PARTS, 'node_modules/playwright-core/index.mjs');
const { chromium } = await import(pathToFileURL(parts));

const PATIENCE_MS = 15_000;
const DESKTOP = { width: 1280, height: 1080 };
const PHONE = { width: 360, height: 740 };

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const ask = async (word) => {
  console.log(word);
  return (await answers.next()).value;
};

const browser = await chromium.launch({
  executablePath: process.env.BRAMBLE_CHROMIUM,
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--lang=en-GB'],
});

/** A page that fails the test if anything is wrong with it that people do not see. */
const open = async (options) => {
  const context = await browser.newContext({ viewport: DESKTOP, colorScheme: 'light', locale: 'en-NZ', ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const faults = [];
  const expected = new Set();
  page.on('console', (message) => {
    const line = `${message.type()}: ${message.text()}`;
    if (['error', 'warning'].includes(message.type()) && ![...expected].some((part) => line.includes(part))) {
      faults.push(line);
    }
  });
  page.on('pageerror', (error) => faults.push(`exception: ${error}`));
  page.on('dialog', (dialog) => {
    faults.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on('request', (request) => {
    if (![dashboard, closed].some((origin) => request.url().startsWith(`${origin}/`))) {
      faults.push(`a request elsewhere: ${request.url()}`);
    }
  });
  return { context, page, faults, expected };
};

const text = (page, selector) => page.locator(selector).innerText();
const live = (page) => page.locator('#link[data-state="live"]').waitFor();
const figures = (page) => page.waitForFunction(() => document.querySelector('#period-day .big').textContent !== '–');

/** Of all text on the page, what has less contrast than WCAG's AA asks for. */
const pale = (page) => page.evaluate(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) {
        return colour;
      }
    }
    return [255, 255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll('body *')) {
    const shown = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
    // What is disabled need not be read.
    if (!shown || element.closest(':disabled') || !element.checkVisibility()) {
      continue;
    }
    const [a, b] = [light(rgb(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) {
      found.push(`${element.tagName} ${element.textContent.slice(0, 40)}: ${contrast.toFixed(2)}`);
    }
  }
  return found;
});

const facts = {
  async 'a sale appears by itself'({ page }) {
    await page.goto(dashboard);
    await live(page);
    await page.locator('#orders tbody tr').first().waitFor();
    await figures(page);
    await page.evaluate(() => { window.sameDocument = true; });
    const before = { sold: await text(page, '#period-day .big'), count: await text(page, '#period-day .sub >> nth=0') };
    const sale = JSON.parse(await ask('sell'));
    const answered = Date.now();
    await page.locator('#orders td.code', { hasText: sale.order_id.slice(-8) }).waitFor();
    await page.waitForFunction((sold) => document.querySelector('#period-day .big').textContent !== sold, before.sold);
    console.error(`the sale is on the page ${Date.now() - answered} ms after it was answered`);
    const number = (words) => Number(words.replace(/[^\d.]/g, ''));
    const after = { sold: await text(page, '#period-day .big'), count: await text(page, '#period-day .sub >> nth=0') };
    assert.equal(number(after.sold).toFixed(2), (number(before.sold) + Number(sale.total)).toFixed(2));
    assert.equal(number(after.count), number(before.count) + 1);
    assert.match(after.sold, /^\$/, 'in the currency of the deployment, as its country writes it');
    assert.equal(await page.evaluate(() => window.sameDocument), true, 'the page was not loaded again');
    const row = page.locator('#orders tr', { hasText: sale.order_id.slice(-8) });
    assert.match(await row.innerText(), new RegExp(`placed[\\s\\S]*\\$${sale.total}`));
    assert.match(await text(page, '#watermark'), /The newest event counted is of .*orders \d.*Times and days are those of Pacific\/Auckland\./);
  },

  async 'what is on a label is text'({ page }) {
    const row = page.locator('#stock tr', { hasText: 'HOSTILE-1' });
    await row.waitFor();
    assert.match(await row.innerText(), /<img src=x onerror="window\.pwned=1"><\/td><script>window\.pwned=2<\/script>&amp;/);
    const grown = await page.evaluate(() => [window.pwned, document.querySelectorAll('main img, main script, main iframe').length]);
    assert.deepEqual(grown, [undefined, 0]);
  },

  async 'the fleet is well and says so'({ page }) {
    const rows = page.locator('#fleet tbody tr');
    await page.waitForFunction(() => [...document.querySelectorAll('#fleet td:nth-child(2)')].filter((cell) => cell.textContent === 'ready').length === 7);
    assert.equal(await rows.count(), 7, 'no service says why it does not go on');
    await page.waitForFunction(() => [...document.querySelectorAll('#fleet td:nth-child(n + 3)')].every((cell) => ['0', '–'].includes(cell.textContent)));
  },

  async 'it is read by its landmarks, headings and labels'({ page }) {
    for (const role of ['banner', 'main', 'contentinfo']) {
      assert.equal(await page.getByRole(role).count(), 1, role);
    }
    await page.getByRole('navigation', { name: 'Business day' }).waitFor();
    assert.equal(await page.getByRole('heading', { level: 1 }).count(), 1);
    for (const name of ['Sales, with tax', 'What customers owe', 'Low on stock', 'Newest orders', 'The fleet']) {
      assert.equal(await page.getByRole('region', { name }).getByRole('heading', { level: 2, name }).count(), 1, name);
    }
    for (const name of ['The day before', 'The day after', 'Today']) {
      assert.equal(await page.getByRole('button', { name, exact: true }).count(), 1, name);
    }
    assert.equal(await page.getByLabel('Business day').and(page.locator('input')).count(), 1);
    assert.equal(await page.getByRole('status').filter({ hasText: 'Live' }).count(), 1);
    assert.equal(await page.locator('[aria-busy="true"]').count(), 0);
    const unnamed = await page.evaluate(() => [...document.querySelectorAll('img:not([alt]), input:not([aria-label]):not([id]), table thead th:not([scope]), html:not([lang])')].length);
    assert.equal(unnamed, 0);
  },

  async 'the keyboard gets everywhere'({ page }) {
    await page.goto(dashboard);
    await live(page);
    await figures(page);
    const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.textContent.trim());
    await page.keyboard.press('Tab');
    assert.equal(await focused(), 'Skip to the figures');
    await page.waitForFunction(() => document.activeElement.getBoundingClientRect().top >= 0);
    await page.keyboard.press('Enter');
    assert.equal(await focused(), 'main');
    await page.keyboard.press('Tab');
    assert.equal(await focused(), 'earlier');
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.equal(outline, 'solid', 'where the focus is can be seen');
    const today = await text(page, 'h1');
    await page.keyboard.press('Enter');
    await page.waitForFunction((day) => document.querySelector('h1').textContent !== day, today);
    assert.match(page.url(), /\?day=\d{4}-\d{2}-\d{2}$/);
    assert.equal(await text(page, '#period-day dt'), 'This day');
    await page.goBack();
    await page.waitForFunction((day) => document.querySelector('h1').textContent === day, today);

    await page.locator('#days .plot').focus();
    await page.keyboard.press('End');
    const last = await text(page, '#days .readout');
    assert.match(last, /\$[\d,.]+ in \d+ orders?$/);
    await page.keyboard.press('Home');
    const first = await text(page, '#days .readout');
    await page.keyboard.press('ArrowRight');
    assert.equal(new Set([first, await text(page, '#days .readout'), last]).size, 3);
    await page.keyboard.press('ArrowLeft');
    assert.equal(await text(page, '#days .readout'), first);
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.locator('#days table').waitFor();
    assert.equal(await page.locator('#days tbody tr').count(), 31, 'the same as a table');
    assert.equal(await page.locator('#hours tbody tr').count() >= 23, true);
  },

  async 'a quiet day says so and leads on'({ page }) {
    await page.goto(`${dashboard}/?day=2020-02-29`);
    await live(page);
    await page.getByText('Nothing was sold on this day.').waitFor();
    assert.equal(await text(page, 'h1'), await page.evaluate(() => new Intl.DateTimeFormat('en-NZ', { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' }).format(new Date('2020-02-29T12:00:00Z'))));
    await page.locator('#receivables').getByText('Nothing has been counted for this day.').waitFor();
    await page.getByText('No order was placed yet.').waitFor();
    await page.getByRole('button', { name: /^Go to the last sale/ }).click();
    await page.waitForFunction(() => document.querySelector('#period-day .sub').textContent !== '0 orders');
  },

  async 'light and dark both have contrast'({ page }) {
    await page.goto(dashboard);
    await live(page);
    await page.waitForFunction(() => document.querySelectorAll('[aria-busy="true"]').length === 0);
    const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const bar = () => page.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue('--bar'));
    const [light, lightBar] = [await background(), await bar()];
    assert.deepEqual(await pale(page), []);
    await page.emulateMedia({ colorScheme: 'dark' });
    assert.notEqual(await background(), light);
    assert.notEqual(await bar(), lightBar);
    assert.deepEqual(await pale(page), []);
    await page.emulateMedia({ colorScheme: 'light' });
  },

  async 'a phone shows all of it without scrolling sideways'({ page }) {
    await page.setViewportSize(PHONE);
    await page.evaluate(() => document.querySelectorAll('details').forEach((details) => { details.open = true; }));
    await page.waitForFunction(() => [...document.querySelectorAll('.uplot')].every((plot) => plot.getBoundingClientRect().width <= innerWidth));
    const wide = await page.evaluate(() => [...document.querySelectorAll('body *:not(.unseen, .skip)')]
      .filter((element) => element.checkVisibility() && !element.closest('.unseen') && element.getBoundingClientRect().right > innerWidth + 0.5)
      .map((element) => `${element.tagName}.${element.className} ${element.textContent.slice(0, 30)}`));
    assert.deepEqual(wide, []);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), PHONE.width);
    const small = await page.evaluate(() => [...document.querySelectorAll('.days button, .days input')].filter((element) => element.getBoundingClientRect().height < 40).length);
    assert.equal(small, 0, 'what is tapped is large enough');
    await page.setViewportSize(DESKTOP);
  },

  async 'a service that goes away is missed, and found again'({ page, expected }) {
    // Chromium's own lines about the connections that fail.
    expected.add('net::ERR_').add('Failed to load resource');
    await page.evaluate(() => { window.sameDocument = true; });
    const sold = await text(page, '#period-day .big');
    await ask('stop');
    // A connection that breaks is seen at once; one that is only silent, after twelve seconds.
    await page.locator('#link[data-state="stale"]').waitFor({ timeout: 10_000 });
    assert.match(await text(page, '#link'), /^Reconnecting, as of \d\d:\d\d:\d\d$/);
    assert.equal(await text(page, '#period-day .big'), sold, 'what was known is still shown');
    await ask('start');
    await live(page);
    assert.equal(await page.evaluate(() => window.sameDocument), true);
    expected.clear();
  },
};

for (const [name, options] of [
  ['desktop-light', { viewport: DESKTOP, colorScheme: 'light' }],
  ['phone-dark', { viewport: PHONE, colorScheme: 'dark', deviceScaleFactor: 2 }],
]) {
  const { page, context, faults } = await open(options);
  await page.goto(dashboard);
  await live(page);
  await page.waitForFunction(() => document.querySelectorAll('[aria-busy="true"]').length === 0);
  await page.locator('#orders tbody tr').first().waitFor();
  await page.screenshot({ path: join(screens, `${name}.png`) });
  assert.deepEqual(faults, []);
  await context.close();
}

const lookedAt = await open({});
for (const [name, check] of Object.entries(facts)) {
  const began = Date.now();
  try {
    await check(lookedAt);
    assert.deepEqual(lookedAt.faults, []);
  } catch (error) {
    await lookedAt.page.screenshot({ path: join(screens, 'failed.png'), fullPage: true });
    throw new Error(`${name}: ${error.message}\n${lookedAt.faults.join('\n')}`, { cause: error });
  }
  console.error(`${name}: ok, ${Date.now() - began} ms`);
}
await lookedAt.context.close();

{
  const { page, context, faults, expected } = await open({});
  expected.add('status of 401').add('TrustedHTML');
  await page.goto(`${closed}/?day=2020-02-29`);
  assert.equal(page.url(), `${closed}/login`);
  const markup = () => {
    document.querySelector('#hint').innerHTML = '<b>no</b>';
  };
  await assert.rejects(page.evaluate(markup), /TrustedHTML/, 'not even a script of ours could make markup of text');
  assert.deepEqual(await pale(page), []);
  assert.equal(await page.evaluate(() => document.activeElement.id), 'token');
  await page.getByLabel('Token').fill('<b>nonsense</b>');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').filter({ hasText: 'This is no token of ours' }).waitFor();
  await page.getByLabel('Token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await live(page);
  await figures(page);
  const [cookie] = await context.cookies();
  assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, 'Strict']);
  assert.equal(await page.evaluate(() => document.cookie), '', 'no script sees it');
  // A token that is gone is asked for when the page comes back to the service.
  const cookies = await context.cookies();
  await context.clearCookies();
  await page.evaluate(() => dispatchEvent(new Event('online')));
  await page.waitForURL(`${closed}/login`);
  await context.addCookies(cookies);
  await page.goto(closed);
  await live(page);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.waitForURL(`${closed}/login`);
  assert.deepEqual(await context.cookies(), []);
  assert.deepEqual(faults, []);
  await context.close();
  console.error('a token lets in, and out: ok');
}

await browser.close();
console.log('done');
process.exit(0);
