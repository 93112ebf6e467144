// Sessions in browsers: who comes in, who stays, and what is kept of what they typed.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { APPS, Client, eventually } from './support/apps.mjs';
import { checkAccess, launch, logIn, open } from './support/browser.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

test('no script can read a token', async () => {
  await Client.join(APPS.a, 'iris');
  const page = await open(browser, APPS.a);
  await logIn(page, 'iris');
  const [cookies, kept] = await page.evaluate(() => [document.cookie, JSON.stringify({ ...localStorage, ...sessionStorage })]);
  assert.doesNotMatch(cookies, /Authentication|Refresh/);
  assert.doesNotMatch(kept, /eyJ/);
  assert.deepEqual(page.faults, []);
});

test('a wrong password is said, and what was typed stays', async () => {
  await Client.join(APPS.a, 'jack');
  const page = await open(browser, APPS.a);
  await page.goto('/login');
  await page.getByLabel('Username or e-mail address').fill('jack');
  await page.getByLabel('Password').fill('not his password');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByText('There is no account with this name and password.').waitFor();
  assert.equal(await page.getByLabel('Username or e-mail address').inputValue(), 'jack');
});

test('a session that ends keeps the draft and the place', async () => {
  const kate = await Client.join(APPS.a, 'kate');
  const liam = await Client.join(APPS.a, 'liam');
  const { conversation } = await liam.send(kate.username, 'Hello');
  const page = await open(browser, APPS.a);
  await logIn(page, 'kate');
  await page.goto(`/c/${conversation}`);
  const composer = page.getByRole('textbox', { name: /^Message to/ });
  await composer.fill('Half a sentence');
  await kate.call('POST', '/api/auth/logout/all/');
  await page.getByText('Your session has ended.', { exact: false }).waitFor({ timeout: 40_000 });
  await page.getByLabel('Username or e-mail address').fill('kate');
  await page.getByLabel('Password').fill('correct horse battery');
  await page.getByRole('button', { name: 'Log in' }).click();
  await composer.waitFor();
  assert.equal(await composer.inputValue(), 'Half a sentence');
  assert.deepEqual(page.faults, []);
});

test('tabs renew one session together, and leave together', async () => {
  await Client.join(APPS.a, 'mona');
  const page = await open(browser, APPS.a);
  await logIn(page, 'mona');
  const context = page.context();
  const others = [];
  for (let number = 0; number < 3; number++) {
    const other = await context.newPage();
    await other.goto('/');
    await other.getByText('No conversations yet').waitFor();
    others.push(other);
  }
  // The access token is gone, as if it had run out; every tab has to renew it at the same moment.
  await context.clearCookies({ name: /Authentication/ });
  await Promise.all([page, ...others].map((tab) => tab.reload()));
  for (const tab of [page, ...others]) await tab.getByText('No conversations yet').waitFor();

  await page.getByRole('button', { name: /^Menu of/ }).click();
  await page.getByRole('menuitem', { name: 'Log out' }).click();
  for (const tab of [page, ...others]) await eventually(() => tab.getByRole('button', { name: 'Log in' }).isVisible(), 'the log-in page');
});

test('a failure says what happened, gives the id that finds it in the log, and another try helps', async () => {
  await Client.join(APPS.a, 'nina');
  const page = await open(browser, APPS.a, { permissions: ['clipboard-read', 'clipboard-write'] });
  await logIn(page, 'nina');
  const problem = { code: 'internal', detail: 'Something went wrong here.', request_id: '5e9d1b38af07ef4b', status: 500, title: 'Internal', type: 'x' };
  // No request makes a sound app fail, so the answer is taken from it on its way.
  await page.route('**/api/messages/inbox/**', (route) => route.fulfill({ status: 500, contentType: 'application/problem+json', body: JSON.stringify(problem) }));
  await page.getByRole('link', { name: 'Inbox' }).click();
  await page.getByText('The inbox cannot be loaded.').waitFor();
  await page.getByText('Something went wrong here.').waitFor();
  await page.getByRole('button', { name: 'Copy request id' }).click();
  await page.getByRole('button', { name: 'Copied' }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), problem.request_id);
  assert.deepEqual(await checkAccess(page, 'failure'), []);
  await page.unroute('**/api/messages/inbox/**');
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByText('All read').waitFor();
  assert.deepEqual(page.faults, []);
});
