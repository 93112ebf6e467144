// One app is away for a while. These two apps are of their own, as one of them is ended and started again.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { appsOf, Client, eventually, halt, promote, start } from './support/apps.mjs';
import { checkAccess, launch, logIn, open } from './support/browser.mjs';

const FOLDER = process.env.SCREENSHOTS ?? new URL('../screenshots', import.meta.url).pathname;
const place = (path) => new URL(path, import.meta.url).pathname;
/** Seconds after which the apps give up here; a week elsewhere. */
const GIVE_UP = 20;
/** Seconds for what waits for one app to notice the other, on a machine that has other things to do. */
const PATIENCE = 120;

let browser;
let apps;
let holder;
let isRestarted = false;
before(async () => {
  browser = await launch();
  await mkdir(FOLDER, { recursive: true });
  const env = { ...process.env, SETTINGS: `RELAY_GIVE_UP_SECONDS=${GIVE_UP}` };
  holder = spawn(place('../../scripts/with-apps'), [process.execPath, place('support/hold.mjs'), 'hold'], { env, stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = await once(createInterface({ input: holder.stdout }), 'line');
  apps = appsOf(JSON.parse(line));
});
after(async () => {
  await browser?.close();
  if (isRestarted) await halt(apps.b);
  if (!holder || holder.exitCode !== null) return;
  holder.stdin.end();
  await once(holder, 'exit');
});

const composer = (page) => page.getByRole('textbox', { name: /^Message to/ });
const log = (page) => page.getByRole('list', { name: 'Messages' });

async function write(page, text) {
  await composer(page).fill(text);
  await composer(page).press('Enter');
  await log(page).getByText(text, { exact: true }).first().waitFor();
}

/** Until a dialog that has gone has given the focus back, which it does a moment later; a key would go astray meanwhile. */
const settled = (page) =>
  page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)))));

test('while the other app is away people are told, and what has failed is sent again once', async () => {
  const alice = await Client.join(apps.a, 'alice', { first_name: 'Alice' });
  const bob = await Client.join(apps.b, 'bob', { first_name: 'Bob' });
  const { conversation } = await alice.send(bob.address, 'Hello');
  const texts = async () => (await bob.call('GET', `/api/chats/messages/?conversation=${conversation}&ordering=created_at`)).results.map((message) => message.content);
  await eventually(async () => (await texts()).length === 1, 'the relay', PATIENCE);
  promote(apps.a, 'alice');
  const page = await open(browser, apps.a);
  page.context().setDefaultTimeout(PATIENCE * 1000);
  await logIn(page, 'alice');
  await page.goto(`/c/${conversation}`);
  await log(page).getByText('Hello').waitFor();

  await halt(apps.b);
  await write(page, 'Is anybody there?');
  await log(page).getByText('On its way', { exact: false }).first().waitFor({ state: 'attached' });
  await page.getByText('app-b cannot be reached just now.', { exact: false }).waitFor();
  await look(page, 'away');
  await page.getByRole('button', { name: 'Dismiss' }).click();
  await eventually(async () => (await page.getByText('app-b cannot be reached').count()) === 0, 'the end of the banner');

  await page.keyboard.press('Control+k');
  await page.getByRole('combobox').fill('zed@app-b');
  await page.keyboard.press('Enter');
  await page.getByText('app-b cannot be asked just now', { exact: false }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await settled(page);

  await write(page, 'A second one');
  const reason = log(page).locator('p').getByText('Not sent: the other app could not be reached for too long');
  await eventually(async () => (await reason.count()) === 2, 'both failures', PATIENCE);
  await look(page, 'failed');

  // What an admin sees meanwhile, and what they do when it is over.
  await page.goto('/admin/outbox');
  const peer = page.getByRole('article', { name: 'app-b' });
  await peer.getByText('Cannot be reached').waitFor();
  const entries = page.getByRole('list', { name: 'Outbox' }).getByRole('listitem');
  await eventually(async () => (await entries.count()) === 2, 'both in the outbox', PATIENCE);
  await look(page, 'admin-outbox-failed');
  await start(apps.b);
  isRestarted = true;
  await entries.nth(1).getByRole('button', { name: /^Try again/ }).click();
  await page.getByText('1 message is on the way again.').waitFor();
  await peer.getByText('Reachable').waitFor();
  await eventually(async () => (await entries.count()) === 1, 'one in the outbox', PATIENCE);
  await eventually(async () => (await texts()).join() === 'Hello,A second one', 'the message that the admin has retried', PATIENCE);

  await page.goto(`/c/${conversation}`);
  await page.getByRole('button', { name: 'Send again' }).click();
  await eventually(async () => (await texts()).length === 3, 'the message that its author has sent again', PATIENCE);
  assert.deepEqual(await texts(), ['Hello', 'A second one', 'Is anybody there?']);
  assert.equal(await page.getByRole('button', { name: 'Send again' }).count(), 0);
  assert.deepEqual(page.faults, []);
});

/** Takes pictures, in both themes and at both widths, and finds no fault with what is there. */
async function look(page, name) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    for (const [size, viewport] of Object.entries({ phone: { width: 390, height: 844 }, desk: { width: 1280, height: 800 } })) {
      await page.setViewportSize(viewport);
      await page.screenshot({ path: `${FOLDER}/${name}-${size}-${colorScheme}.png` });
      assert.deepEqual(await checkAccess(page, `${name}, ${size}, ${colorScheme}`), []);
    }
  }
}
