// Somebody who has no pointer, and sees where they are at every step.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { APPS, Client, eventually, PASSWORD } from './support/apps.mjs';
import { launch, open } from './support/browser.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

const log = (page) => page.getByRole('list', { name: 'Messages' });

/** What has the focus: what it is called, and whether one sees that it has it. */
const focused = (page) =>
  page.evaluate(() => {
    const element = document.activeElement;
    if (!element || element === document.body) return { name: '', isSeen: false };
    const name = element.getAttribute('aria-label') ?? element.labels?.[0]?.innerText ?? element.innerText ?? '';
    const { outlineStyle, outlineWidth } = getComputedStyle(element);
    const { width, height } = element.getBoundingClientRect();
    const isMarked = outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2;
    // The one line of the jump and the items of a menu are marked otherwise.
    const isOther = element.matches('[role=combobox], [role^=menu]');
    return { name: name.trim().replaceAll(/\s+/g, ' '), isSeen: width > 0 && height > 0 && (isMarked || isOther) };
  });

/** Goes on with a key until something has the focus; every stop on the way has to be seen. */
async function reach(page, wanted, key = 'Tab') {
  const passed = [];
  for (let steps = 0; steps < 60; steps++) {
    const { name, isSeen } = await focused(page);
    if (wanted.test(name)) return assert.ok(isSeen, `${name} does not show that it has the focus`);
    passed.push(name);
    await page.keyboard.press(key);
    const now = await focused(page);
    assert.ok(now.isSeen || now.name === '', `${now.name} does not show that it has the focus`);
  }
  assert.fail(`${wanted} is not reached by ${key}, only ${passed.join(', ')}`);
}

const isOn = (page, wanted) => eventually(async () => wanted.test((await focused(page)).name), `the focus on ${wanted}`);

/** Opens the menu of what has the focus; its keys count once the focus is in it. */
async function openMenu(page) {
  await page.keyboard.press('Enter');
  await eventually(() => page.evaluate(() => document.activeElement?.closest('[role=menu]') !== null), 'the focus in the menu');
}

test('everything is done by keyboard, and the focus is always seen and comes back', async () => {
  const boris = await Client.join(APPS.b, 'boris', { first_name: 'Boris' });
  const page = await open(browser, APPS.a);
  await page.goto('/register');
  await page.getByLabel('Your name').waitFor();
  await reach(page, /^Your name$/);
  await page.keyboard.type('Ada');
  for (const [label, text] of [[/^Username$/, 'ada'], [/^E-mail address$/, 'ada@example.org'], [/^Password$/, 'short']]) {
    await reach(page, label);
    await page.keyboard.type(text);
  }
  await page.keyboard.press('Enter');
  await isOn(page, /^Password$/);
  await page.keyboard.press('Control+a');
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press('Enter');
  await page.getByText('No conversations yet').waitFor();

  // Found by the jump, chosen by Enter, and written to.
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox').waitFor();
  await page.keyboard.type('boris@app-b');
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').getByRole('button', { name: /boris@app-b/ }).waitFor();
  await isOn(page, /^People$/);
  await page.keyboard.press('Enter');
  await reach(page, /^Begin$/);
  await page.keyboard.press('Enter');
  await isOn(page, /^Message to Boris/);
  await page.keyboard.type('Hello Boris');
  await page.keyboard.press('Enter');
  await log(page).getByText('Hello Boris').waitFor();
  const conversation = new URL(page.url()).pathname.split('/')[2];
  await eventually(async () => (await boris.call('GET', `/api/chats/messages/?conversation=${conversation}`)).count === 1, 'the relay');
  await boris.say(conversation, 'Hello Ada, shall we?');
  await log(page).getByText('shall we?').waitFor();

  // Answered, and then edited.
  await reach(page, /^Reply$/, 'Shift+Tab');
  await page.keyboard.press('Enter');
  await isOn(page, /^Message to Boris/);
  await page.keyboard.type('We shal');
  await page.keyboard.press('Enter');
  await log(page).getByText('We shal').waitFor();
  await eventually(async () => (await log(page).getByText('Sending', { exact: true }).count()) === 0, 'the answer to the send');
  await page.keyboard.press('ArrowUp');
  await page.getByText('Edit message').waitFor();
  await page.keyboard.type('l');
  await page.keyboard.press('Enter');
  await log(page).getByText('We shall').waitFor();
  await isOn(page, /^Message to Boris/);

  // A menu and a question give the focus back, and a question keeps it meanwhile.
  await reach(page, /^More about the message of You/, 'Shift+Tab');
  await openMenu(page);
  await page.keyboard.press('Escape');
  await page.getByRole('menu').waitFor({ state: 'detached' });
  await isOn(page, /^More about the message of You/);
  await openMenu(page);
  await page.keyboard.press('End');
  await page.keyboard.press('Enter');
  const question = page.getByRole('dialog', { name: 'Delete this message?' });
  await question.waitFor();
  for (let steps = 0; steps < 5; steps++) {
    await page.keyboard.press('Tab');
    assert.ok(await question.evaluate((dialog) => dialog.contains(document.activeElement)), 'the focus has left the question');
  }
  await page.keyboard.press('Escape');
  await isOn(page, /^More about the message of You/);

  // A thread beside the messages.
  await question.waitFor({ state: 'detached' });
  await openMenu(page);
  await page.keyboard.type('Reply in thread');
  await page.keyboard.press('Enter');
  await isOn(page, /^Reply in this thread/);
  await page.keyboard.type('Aside');
  await page.keyboard.press('Enter');
  await page.getByRole('list', { name: 'Replies' }).getByText('Aside').waitFor();
  await page.keyboard.press('Escape');
  await isOn(page, /^(More about the message of You|Message to Boris)/);

  await reach(page, /^Menu of Ada/, 'Shift+Tab');
  await openMenu(page);
  await page.keyboard.press('End');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Log in' }).waitFor();
  await isOn(page, /^Username or e-mail address$/);
  assert.deepEqual(page.faults, []);
});
