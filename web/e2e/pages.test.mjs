// Every page, in both themes, from the narrowest phone to a wide desk and magnified: accessible, within its width, and pictured.

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { APPS, Client, eventually, promote } from './support/apps.mjs';
import { checkAccess, launch, logIn, open } from './support/browser.mjs';

const FOLDER = process.env.SCREENSHOTS ?? new URL('../screenshots', import.meta.url).pathname;
const SIZES = { phone: { width: 390, height: 844 }, desk: { width: 1280, height: 800 } };
/** Those that are looked at for what does not fit; the second is what a desk at 200 % shows. */
const TIGHT = { narrow: { width: 320, height: 640 }, magnified: { width: 640, height: 400 }, wide: { width: 1920, height: 1080 } };

let browser;
before(async () => {
  browser = await launch();
  await mkdir(FOLDER, { recursive: true });
});
after(() => browser?.close());

/** A small world to take pictures of. */
async function world() {
  const nora = await Client.join(APPS.a, 'nora', { first_name: 'Nora', last_name: 'Berg' });
  const omar = await Client.join(APPS.b, 'omar', { first_name: 'Omar', last_name: 'Haddad' });
  const paul = await Client.join(APPS.a, 'paul', { first_name: 'Paul' });
  const quinn = await Client.join(APPS.b, 'quinn.long-username_that-goes-on', { first_name: 'Quinn', last_name: 'Featherstonehaugh-Cholmondeley' });
  const { conversation, id } = await nora.send(omar.address, 'Have you seen the plan for Friday?');
  const arrived = (who, number) =>
    eventually(async () => (await who.call('GET', `/api/chats/messages/?conversation=${conversation}`)).count >= number, 'the relay');
  await arrived(omar, 1);
  await omar.say(conversation, 'Yes, and I like it. Two things, though:');
  await omar.say(conversation, 'The room is booked from 14:00 only. The notes are at https://example.org/notes/2026/friday?version=3, and whoever comes should have read them before, as we have an hour and no more.');
  await arrived(nora, 3);
  await nora.say(conversation, 'Then we begin at two.', { parent: id });
  const gone = await nora.say(conversation, 'Never mind');
  await nora.call('DELETE', `/api/chats/messages/${gone.id}/`);
  await nora.say(conversation, '👍');
  const group = await nora.call('POST', '/api/chats/conversations/', { participants: [omar.address, 'paul', quinn.address], title: 'Friday dinner' });
  const { id: first } = await nora.say(group.id, 'Who brings bread?');
  await paul.say(group.id, 'I do, and the good butter.');
  await eventually(async () => (await omar.call('GET', `/api/chats/messages/?conversation=${group.id}`)).count >= 2, 'the group');
  await omar.say(group.id, 'أنا أحضر الحمص والزيتون');
  await quinn.send(nora.address, 'Hello from the other side, with a first message that is long enough not to fit into one line of the list.');
  await paul.send('nora', 'Are you in the office today?');
  await eventually(async () => (await nora.call('GET', '/api/messages/inbox/')).count >= 6, 'the inbox');
  promote(APPS.a, 'nora');
  return { conversation, group: group.id, id, first };
}

/** Runs in the page: what is wider than the window, or reaches out of it sideways. */
function outside() {
  const excess = document.documentElement.scrollWidth - innerWidth;
  const found = excess > 0 ? [`${excess} pixels too wide`] : [];
  for (const element of document.querySelectorAll('a, button, input, select, textarea, h1, h2, h3, label')) {
    const { left, right, width, height } = element.getBoundingClientRect();
    const isShown = width > 1 && height > 1 && element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    if (isShown && (left < -1 || right > innerWidth + 1)) found.push(`outside: ${element.outerHTML.slice(0, 160)}`);
  }
  return found;
}

test('every page is accessible and fits, in both themes and widths', async () => {
  const { conversation, group, id, first } = await world();
  const pages = [
    ['list', '/', 'link:Friday dinner'],
    ['thread', `/c/${conversation}`, 'text:Then we begin at two.'],
    ['group', `/c/${group}`, 'text:I do, and the good butter.'],
    ['group-details', `/c/${group}/details`, 'text:4 people'],
    ['details', `/c/${conversation}/details`, 'text:Address'],
    ['replies', `/c/${conversation}/t/${id}`, 'textbox:Reply in this thread'],
    ['replies-none', `/c/${group}/t/${first}`, 'text:No replies yet'],
    ['inbox', '/inbox', 'text:Are you in the office today?'],
    ['search', '/search?q=friday', 'mark:'],
    ['search-start', '/search', 'text:Search your messages'],
    ['search-none', '/search?q=zebra', 'text:Nothing found'],
    ['new-conversation', '/?new=omar', 'button:Omar Haddad'],
    ['settings', '/settings', 'link:Profile'],
    ['settings-profile', '/settings/profile', 'text:First name'],
    ['settings-password', '/settings/password', 'text:Current password'],
    ['settings-sessions', '/settings/sessions', 'text:This session'],
    ['settings-privacy', '/settings/privacy', 'switch:Read receipts'],
    ['settings-notifications', '/settings/notifications', 'text:Show notifications'],
    ['settings-appearance', '/settings/appearance', 'text:Dark'],
    ['admin-users', '/admin/users', 'text:nora@example.org'],
    ['admin-settings', '/admin/settings', 'text:PAGE_SIZE'],
    ['admin-outbox', '/admin/outbox', 'text:Nothing has failed'],
    ['admin-audit', '/admin/audit', 'text:Command line'],
    ['missing', '/c/0198c5a1-7d3e-7c11-8a55-2f6f9f6f0b11', 'text:This conversation is not here'],
    ['nowhere', '/nowhere', 'text:There is nothing here'],
  ];
  const find = (page, wanted) => {
    const [kind, text] = wanted.split(/:(.*)/s);
    const pane = page.locator('body');
    return (kind === 'text' ? pane.getByText(text) : pane.getByRole(kind, text ? { name: text } : {})).filter({ visible: true }).first();
  };
  const faults = [];
  for (const theme of ['light', 'dark']) {
    const page = await open(browser, APPS.a, { colorScheme: theme, reducedMotion: 'reduce' });
    for (const [name, path, wanted] of [
      ['log-in', '/login', 'button:Log in'],
      ['register', '/register', 'button:Create account'],
    ]) {
      await page.goto(path);
      await look(page, name, theme, () => find(page, wanted).waitFor());
    }
    await logIn(page, 'nora');
    for (const [name, path, wanted] of pages) {
      await page.goto(path);
      await look(page, name, theme, () => find(page, wanted).waitFor());
    }
    await page.goto('/admin/users');
    await page.getByRole('button', { name: 'New account' }).click();
    await look(page, 'admin-new-user', theme, () => find(page, 'textbox:First password').waitFor());
    await page.goto('/');
    await find(page, 'link:Friday dinner').waitFor();
    await page.keyboard.press('Control+k');
    await look(page, 'jump', theme, () => page.getByRole('combobox').waitFor());
    faults.push(...page.faults);
    await page.context().close();
  }
  assert.deepEqual(faults, []);

  async function look(page, name, theme, ready) {
    for (const [size, viewport] of Object.entries(SIZES)) {
      await page.setViewportSize(viewport);
      await ready();
      await page.evaluate(() => document.fonts.ready);
      await page.screenshot({ path: `${FOLDER}/${name}-${size}-${theme}.png` });
      faults.push(...(await checkAccess(page, `${name}, ${size}, ${theme}`)));
      faults.push(...(await page.evaluate(outside)).map((what) => `${name}, ${size}: ${what}`));
    }
    for (const [size, viewport] of Object.entries(TIGHT)) {
      await page.setViewportSize(viewport);
      await ready();
      faults.push(...(await page.evaluate(outside)).map((what) => `${name}, ${size}: ${what}`));
    }
  }
});
