// What happens elsewhere is seen at once, and after a gap.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { APPS, Client, eventually } from './support/apps.mjs';
import { launch, logIn, open } from './support/browser.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

const composer = (page) => page.getByRole('textbox', { name: /^Message to/ });
const log = (page) => page.getByRole('list', { name: 'Messages' });

async function pair(first, second) {
  const one = await Client.join(APPS.a, first.toLowerCase(), { first_name: first });
  const other = await Client.join(APPS.b, second.toLowerCase(), { first_name: second });
  const { conversation } = await one.send(other.address, 'Hello');
  await eventually(async () => (await other.call('GET', '/api/messages/inbox/')).results.length > 0, 'the relay');
  const pages = [await open(browser, APPS.a), await open(browser, APPS.b)];
  await logIn(pages[0], first.toLowerCase());
  await logIn(pages[1], second.toLowerCase());
  return { one, other, conversation, pages };
}

test('typing, presence and how far a message has come are seen on the other app', async () => {
  const { conversation, pages } = await pair('Rosa', 'Sven');
  const [rosa, sven] = pages;
  await rosa.goto(`/c/${conversation}`);
  await rosa.getByText('Online').first().waitFor();
  // The message had not been read before; now it is.
  await sven.getByRole('link', { name: /Rosa/ }).click();
  await log(rosa).getByText('Read', { exact: true }).waitFor({ state: 'attached' });
  await composer(sven).pressSequentially('I am wri');
  await rosa.getByRole('main').getByText('Sven is typing…').first().waitFor();
  await composer(sven).fill('I am writing');
  await composer(sven).press('Enter');
  await log(rosa).getByText('I am writing').waitFor();
  await eventually(async () => (await rosa.getByText('Sven is typing…').count()) === 0, 'the end of the typing');
  assert.deepEqual([rosa.faults, sven.faults], [[], []]);
});

test('what was missed without a connection is there when it is back, once', async () => {
  const { one, conversation, pages } = await pair('Tara', 'Umar');
  const [, umar] = pages;
  await umar.goto(`/c/${conversation}`);
  await log(umar).getByText('Hello').waitFor();
  await umar.context().setOffline(true);
  await umar.getByText('No connection.', { exact: false }).waitFor();
  const missed = Array.from({ length: 5 }, (_, number) => `Missed ${number}`);
  for (const text of missed) await one.say(conversation, text);
  await umar.context().setOffline(false);
  await log(umar).getByText('Missed 4').waitFor();
  const texts = await log(umar).locator('p[dir=auto]').allTextContents();
  assert.deepEqual(texts.filter((text) => text.startsWith('Missed')), missed);
  await eventually(async () => (await umar.getByText('No connection.', { exact: false }).count()) === 0, 'the end of the notice');
  assert.deepEqual(umar.faults, []);
});

test('a message elsewhere is counted in title and list, and announced by its sender', async () => {
  const { one, pages } = await pair('Vera', 'Wim');
  const [, wim] = pages;
  await wim.getByRole('link', { name: /Vera/ }).click();
  await log(wim).getByText('Hello').waitFor();
  await wim.getByRole('button', { name: /^Menu of/ }).click();
  await wim.getByRole('menuitem', { name: 'Settings' }).click();
  await wim.getByRole('link', { name: 'Appearance' }).click();
  await one.send('wim@app-b', 'Look here');
  await eventually(async () => (await wim.title()).startsWith('(1) '), 'the count');
  await wim.getByText('New message from Vera').waitFor({ state: 'attached' });
  await wim.goto('/');
  await wim.getByRole('link', { name: /Vera.*1 unread/ }).waitFor();
  await wim.getByRole('link', { name: /Vera/ }).click();
  await wim.getByText('New messages', { exact: true }).waitFor();
  await eventually(async () => !(await wim.title()).startsWith('('), 'the end of the count');

  // What comes while the page is behind another one is new when it is looked at again.
  const look = (state) =>
    wim.evaluate((value) => {
      Object.defineProperty(document, 'visibilityState', { value, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    }, state);
  await look('hidden');
  await one.send('wim@app-b', 'And here');
  await eventually(async () => (await wim.title()) === '(1) Vera · AppB', 'the count of what came behind it');
  assert.match(await wim.locator('link[rel=icon]').getAttribute('href'), /circle/);
  await look('visible');
  await eventually(async () => (await wim.title()) === 'Vera · AppB', 'the end of that');
  const line = log(wim).getByRole('listitem').filter({ hasText: /^\s*New messages\s*$/ });
  await eventually(async () => (await line.locator('xpath=following-sibling::li[1]').innerText()).includes('And here'), 'the line above it');
  assert.deepEqual(wim.faults, []);
});

test('who wants notifications gets one for what they do not see, and it leads there', async () => {
  const { one, conversation, pages } = await pair('Nils', 'Olga');
  const [, olga] = pages;
  // A browser without a screen shows none, so the page is given something that takes note of them instead.
  await olga.addInitScript(() => {
    globalThis.shown = [];
    globalThis.Notification = class {
      static permission = sessionStorage.getItem('permission') ?? 'default';
      static async requestPermission() {
        sessionStorage.setItem('permission', globalThis.answer ?? 'granted');
        return (this.permission = globalThis.answer ?? 'granted');
      }
      constructor(title, options) {
        Object.assign(this, { title, ...options });
        globalThis.shown.push(this);
      }
      close() {}
    };
  });
  const shown = () => olga.evaluate(() => globalThis.shown.map(({ title, body }) => `${title}: ${body}`));
  await olga.goto('/settings/notifications');
  const wish = olga.getByRole('switch', { name: 'Show notifications on this device' });
  await olga.evaluate(() => (globalThis.answer = 'denied'));
  await wish.click();
  await olga.getByText('Your browser does not allow it.', { exact: false }).waitFor();
  assert.equal(await wish.getAttribute('aria-checked'), 'false');
  await olga.evaluate(() => (globalThis.answer = 'granted'));
  await wish.click();
  await olga.getByRole('switch', { checked: true }).waitFor();

  // It is remembered.
  await olga.goto('/settings/notifications');
  await olga.getByRole('switch', { checked: true }).waitFor();
  await one.send('olga@app-b', 'Look up');
  await eventually(async () => (await shown()).length > 0, 'the notification');
  assert.deepEqual(await shown(), ['Nils: Look up']);
  await olga.evaluate(() => globalThis.shown[0].onclick());
  await log(olga).getByText('Look up').waitFor();
  assert.equal(new URL(olga.url()).pathname, `/c/${conversation}`);
  await one.say(conversation, 'Seen at once');
  await log(olga).getByText('Seen at once').waitFor();
  assert.equal((await shown()).length, 1);
  assert.deepEqual(olga.faults, []);
});

test('a group is made, renamed and left by keyboard and pointer, and the other app follows', async () => {
  const { pages } = await pair('Xara', 'Yuri');
  await Client.join(APPS.a, 'zoe', { first_name: 'Zoe' });
  const [xara, yuri] = pages;
  await xara.getByRole('button', { name: 'New conversation' }).first().click();
  const people = xara.getByLabel('People', { exact: true });
  for (const name of ['yuri', 'zoe']) {
    await people.fill(name);
    await xara.getByRole('dialog').getByRole('button', { name: new RegExp(`${name}@app-`) }).waitFor();
    await people.press('Enter');
  }
  await xara.getByLabel('Name of the group').fill('Chess');
  await xara.getByRole('button', { name: 'Create group' }).click();
  await yuri.getByRole('link', { name: /Chess/ }).waitFor();

  await xara.getByRole('button', { name: 'Details' }).click();
  await xara.getByRole('button', { name: 'Rename' }).click();
  await xara.getByLabel('Name of the group').fill('Chess club');
  await xara.getByRole('button', { name: 'Save' }).click();
  await yuri.getByRole('link', { name: /Chess club/ }).click();

  await yuri.getByRole('button', { name: 'Details' }).click();
  await yuri.getByRole('button', { name: 'Leave the group' }).click();
  await yuri.getByRole('dialog').getByRole('button', { name: 'Leave the group' }).click();
  await yuri.getByText('You are no longer in this conversation.', { exact: false }).waitFor();
  await xara.getByRole('heading', { name: '2 people' }).waitFor();
  assert.deepEqual([xara.faults, yuri.faults], [[], []]);
});
