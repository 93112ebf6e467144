// One app is away for a while. These two apps are of their own, as one of them is halted.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { appsOf, Client, eventually } from './support/apps.mjs';
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
before(async () => {
  browser = await launch();
  await mkdir(FOLDER, { recursive: true });
  const env = { ...process.env, SETTINGS: `RELAY_GIVE_UP_SECONDS=${GIVE_UP}` };
  holder = spawn(place('../../scripts/with-apps'), [process.execPath, place('support/hold.mjs')], { env, stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = await once(createInterface({ input: holder.stdout }), 'line');
  apps = appsOf(JSON.parse(line));
});
after(async () => {
  await browser?.close();
  if (!holder || holder.exitCode !== null) return;
  holder.stdin.end();
  await once(holder, 'exit');
});

const composer = (page) => page.getByRole('textbox', { name: /^Message to/ });
const log = (page) => page.getByRole('list', { name: 'Messages' });

async function write(page, text) {
  await composer(page).fill(text);
  await composer(page).press('Enter');
}

test('while the other app is away people are told, and what has failed is sent again once', async () => {
  const alice = await Client.join(apps.a, 'alice', { first_name: 'Alice' });
  const bob = await Client.join(apps.b, 'bob', { first_name: 'Bob' });
  const { conversation } = await alice.send(bob.address, 'Hello');
  const texts = async () => (await bob.call('GET', `/api/chats/messages/?conversation=${conversation}&ordering=created_at`)).results.map((message) => message.content);
  await eventually(async () => (await texts()).length === 1, 'the relay', PATIENCE);
  const page = await open(browser, apps.a);
  page.context().setDefaultTimeout(PATIENCE * 1000);
  await logIn(page, 'alice');
  await page.goto(`/c/${conversation}`);
  await log(page).getByText('Hello').waitFor();

  process.kill(apps.b.pid, 'SIGSTOP');
  try {
    await write(page, 'Is anybody there?');
    await log(page).getByText('On its way', { exact: false }).waitFor({ state: 'attached' });
    await page.getByText('app-b cannot be reached just now.', { exact: false }).waitFor();
    await page.screenshot({ path: `${FOLDER}/away-desk-light.png` });
    assert.deepEqual(await checkAccess(page, 'away'), []);
    await page.getByRole('button', { name: 'Dismiss' }).click();
    await eventually(async () => (await page.getByText('app-b cannot be reached').count()) === 0, 'the end of the banner');

    await page.keyboard.press('Control+k');
    await page.getByRole('combobox').fill('zed@app-b');
    await page.keyboard.press('Enter');
    await page.getByText('app-b cannot be asked just now', { exact: false }).waitFor();
    await page.keyboard.press('Escape');

    await log(page).getByText('Not sent: the other app could not be reached for too long').first().waitFor();
    await page.screenshot({ path: `${FOLDER}/failed-desk-light.png` });
    assert.deepEqual(await checkAccess(page, 'failed'), []);
  } finally {
    process.kill(apps.b.pid, 'SIGCONT');
  }
  await eventually(() => bob.call('GET', '/api/auth/me/'), 'the other app', PATIENCE);
  await page.getByRole('button', { name: 'Send again' }).click();
  await eventually(async () => (await texts()).length === 2, 'the message', PATIENCE);
  assert.deepEqual(await texts(), ['Hello', 'Is anybody there?']);
  assert.equal(await page.getByRole('button', { name: 'Send again' }).count(), 0);
  assert.deepEqual(page.faults, []);
});
