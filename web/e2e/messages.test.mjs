// People write to each other, each in a browser of their own on their own app.

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

async function write(page, text) {
  await composer(page).fill(text);
  await composer(page).press('Enter');
}

test('two people sign up on two apps and write to each other', async () => {
  const alice = await open(browser, APPS.a);
  await alice.goto('/');
  await alice.getByRole('link', { name: 'Create one' }).click();
  await alice.getByLabel('Your name').fill('Alice');
  await alice.getByLabel('Username').fill('al');
  await alice.getByLabel('E-mail address').fill('alice@example.org');
  await alice.getByText('Use 3 to 150 letters').waitFor();
  await alice.getByLabel('Username').fill('alice');
  await alice.getByLabel('Password', { exact: true }).fill('correct horse battery');
  await alice.getByRole('button', { name: 'Create account' }).click();
  await alice.getByText('No conversations yet').waitFor();

  await Client.join(APPS.b, 'bob', { first_name: 'Bob' });
  const bob = await open(browser, APPS.b);
  await logIn(bob, 'bob');

  await alice.getByRole('button', { name: 'New conversation' }).first().click();
  await alice.getByLabel('People', { exact: true }).fill('bob@app-b');
  await alice.getByRole('dialog').getByRole('button', { name: 'bob@app-b' }).click();
  await alice.getByRole('button', { name: 'Begin' }).click();
  await write(alice, 'Dinner at eight? https://example.org/menu?x=1.');
  await log(alice).getByText('Dinner at eight?').waitFor();
  assert.equal(await log(alice).getByRole('link', { name: 'https://example.org/menu?x=1' }).getAttribute('rel'), 'noopener noreferrer nofollow');

  await bob.getByRole('link', { name: /Alice/ }).click();
  await log(bob).getByText('Dinner at eight?').waitFor();
  await write(bob, 'Gladly! שלום 🎉');
  await log(alice).getByText('Gladly! שלום 🎉').waitFor();
  assert.deepEqual([alice.faults, bob.faults], [[], []]);
});

test('what is written without a connection goes out once when it is back', async () => {
  const carol = await Client.join(APPS.a, 'carol', { first_name: 'Carol' });
  const dave = await Client.join(APPS.b, 'dave', { first_name: 'Dave' });
  const { conversation } = await carol.send(dave.address, 'Are you there?');
  const page = await open(browser, APPS.a);
  await logIn(page, 'carol');
  await page.goto(`/c/${conversation}`);
  await log(page).getByText('Are you there?').waitFor();

  await page.context().setOffline(true);
  await write(page, 'Written in a tunnel');
  await page.getByText('Waiting for a connection', { exact: false }).first().waitFor({ state: 'attached' });
  await write(page, 'And this after it');
  await page.context().setOffline(false);
  const texts = await eventually(async () => {
    const { results } = await dave.call('GET', `/api/chats/messages/?conversation=${conversation}&ordering=created_at`);
    return results.length >= 3 && results.map((message) => message.content);
  }, 'the messages of the tunnel');
  assert.deepEqual(texts, ['Are you there?', 'Written in a tunnel', 'And this after it']);
  assert.deepEqual(page.faults, []);
});

test('a message is answered, edited and deleted', async () => {
  const erin = await Client.join(APPS.a, 'erin', { first_name: 'Erin' });
  const frank = await Client.join(APPS.b, 'frank', { first_name: 'Frank' });
  const { conversation } = await frank.send(erin.address, 'Which train?');
  const page = await open(browser, APPS.a);
  await logIn(page, 'erin');
  await page.getByRole('link', { name: /Frank/ }).click();
  const question = log(page).getByRole('listitem').filter({ hasText: 'Which train?' });
  await question.hover();
  await question.getByRole('button', { name: 'Reply' }).click();
  await write(page, 'The ten past nine');
  await log(page).getByRole('button', { name: /Frank\s*Which train/ }).waitFor();

  await eventually(async () => (await log(page).getByText('Sending', { exact: true }).count()) === 0, 'the answer to the send');
  await composer(page).press('ArrowUp');
  await page.getByText('Edit message').waitFor();
  await composer(page).fill('The twenty past nine');
  await composer(page).press('Enter');
  await log(page).getByText('The twenty past nine').waitFor();
  await eventually(async () => {
    const { results } = await frank.call('GET', `/api/chats/messages/?conversation=${conversation}`);
    return results[0].content === 'The twenty past nine' && results[0].parent === results[1].id;
  }, 'the edit at the other app');

  const answer = log(page).getByRole('listitem').filter({ hasText: 'twenty past' });
  await answer.hover();
  await answer.getByRole('button', { name: /^More about/ }).click();
  await page.getByRole('menuitem', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await log(page).getByText('This message was deleted.').waitFor();
  assert.deepEqual(page.faults, []);
});

test('a thread has its replies and its composer, and is seen on the other app', async () => {
  const kim = await Client.join(APPS.a, 'kim', { first_name: 'Kim' });
  const lars = await Client.join(APPS.b, 'lars', { first_name: 'Lars' });
  const { conversation, id } = await kim.send(lars.address, 'Where do we meet?');
  await eventually(async () => (await lars.call('GET', '/api/messages/inbox/')).results.length > 0, 'the relay');
  const pages = [await open(browser, APPS.a), await open(browser, APPS.b)];
  const [one, other] = pages;
  await logIn(one, 'kim');
  await logIn(other, 'lars');
  await one.goto(`/c/${conversation}`);
  const question = log(one).getByRole('listitem').filter({ hasText: 'Where do we meet?' });
  await question.hover();
  await question.getByRole('button', { name: /^More about/ }).click();
  await one.getByRole('menuitem', { name: 'Reply in thread' }).click();
  const replies = (page) => page.getByRole('list', { name: 'Replies' });
  const answer = (page) => page.getByRole('textbox', { name: 'Reply in this thread' });
  await one.getByText('No replies yet').waitFor();
  await composer(one).fill('Half a thought');
  await answer(one).fill('At the station');
  await answer(one).press('Enter');
  await replies(one).getByText('At the station').waitFor();
  assert.equal(await composer(one).inputValue(), 'Half a thought');

  await other.goto(`/c/${conversation}`);
  await log(other).getByRole('link', { name: 'Open the thread of 1 reply' }).click();
  await replies(other).getByText('At the station').waitFor();
  await answer(other).fill('Which one?');
  await answer(other).press('Enter');
  await replies(one).getByText('Which one?').waitFor();
  await log(one).getByRole('link', { name: 'Open the thread of 2 replies' }).waitFor();
  const { results } = await kim.call('GET', `/api/chats/messages/?parent=${id}`);
  assert.deepEqual(results.map((message) => message.content), ['Which one?', 'At the station']);
  assert.deepEqual([one.faults, other.faults], [[], []]);
});

test('a long history is read upwards without losing the place', async () => {
  const gina = await Client.join(APPS.a, 'gina', { first_name: 'Gina' });
  const hugo = await Client.join(APPS.a, 'hugo', { first_name: 'Hugo' });
  const { conversation } = await hugo.send(gina.username, 'Number 0');
  for (let number = 1; number < 120; number++) await hugo.say(conversation, `Number ${number}`);
  const page = await open(browser, APPS.a);
  await logIn(page, 'gina');
  await page.getByRole('link', { name: /Hugo/ }).click();
  await log(page).getByText('Number 119', { exact: true }).waitFor();
  const region = page.getByRole('region', { name: /^Messages with/ });
  for (const number of [75, 25, 0]) {
    await region.evaluate((box) => (box.scrollTop = 0));
    await log(page).getByText(`Number ${number}`, { exact: true }).waitFor();
  }
  await page.getByText('The beginning of the conversation').waitFor();
  await page.getByRole('button', { name: 'Go to the latest message' }).click();
  await eventually(() => log(page).getByText('Number 119', { exact: true }).isVisible(), 'the latest message');
  assert.deepEqual(page.faults, []);
});

test('a search marks what it finds and leads to the message, however old it is', async () => {
  const ida = await Client.join(APPS.a, 'ida', { first_name: 'Ida' });
  const jonas = await Client.join(APPS.a, 'jonas', { first_name: 'Jonas' });
  const { conversation } = await jonas.send(ida.username, 'The password of the vault is a secret');
  for (let number = 0; number < 70; number++) await jonas.say(conversation, `Chatter ${number}`);
  const page = await open(browser, APPS.a);
  await logIn(page, 'ida');
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox').fill('vault');
  await page.getByRole('option', { name: 'Search messages for “vault”' }).click();
  await page.getByRole('mark').getByText('vault').waitFor();
  await page.getByRole('article').getByRole('link', { name: 'Jonas' }).click();
  const found = log(page).getByText('The password of the vault');
  await eventually(() => found.isVisible(), 'the message');
  await eventually(() => found.evaluate((text) => text.getBoundingClientRect().top > 0 && text.getBoundingClientRect().bottom < innerHeight), 'it on the screen');

  await page.goto('/search');
  await page.getByLabel('From').selectOption({ label: 'Jonas' });
  await page.getByText('20 messages and more').waitFor();
  await page.getByLabel('Until').fill('2020-01-01');
  await page.getByText('Nothing found').waitFor();
  assert.deepEqual(page.faults, []);
});
