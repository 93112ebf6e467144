// What people change of themselves, and what admins change of their app.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { APPS, Client, eventually, promote } from './support/apps.mjs';
import { launch, logIn, open } from './support/browser.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

test('a profile is changed, with its picture, and others see it', async () => {
  await Client.join(APPS.a, 'anna');
  const page = await open(browser, APPS.a);
  await logIn(page, 'anna');
  await page.goto('/settings/profile');
  await page.getByLabel('First name').fill('Anna');
  await page.getByLabel('Telephone number').fill('12');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('This should be a telephone number', { exact: false }).waitFor();
  await page.getByLabel('Telephone number').fill('+49 30 1234567');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Saved.').waitFor();
  assert.equal(await page.getByLabel('Telephone number').inputValue(), '+49301234567');

  const picture = await page.screenshot({ clip: { x: 0, y: 0, width: 100, height: 100 } });
  await page.getByLabel('Choose a picture').setInputFiles({ name: 'me.png', mimeType: 'image/png', buffer: picture });
  const shown = page.getByRole('region', { name: 'Profile' }).locator('img');
  await eventually(() => shown.evaluate((image) => image.naturalWidth > 0), 'the picture');
  const ben = await Client.join(APPS.b, 'ben');
  const seen = await ben.call('GET', '/api/users/get_by_username/?username=anna@app-a');
  assert.equal(seen.first_name, 'Anna');
  assert.ok(seen.profile_picture);
  await page.getByRole('button', { name: 'Remove the picture' }).click();
  await eventually(async () => (await shown.count()) === 0, 'the end of the picture');
  assert.deepEqual(page.faults, []);
});

test('a password is changed, and another session ended', async () => {
  await Client.join(APPS.a, 'cleo');
  const page = await open(browser, APPS.a);
  await logIn(page, 'cleo');
  await page.goto('/settings/sessions');
  await page.getByRole('button', { name: /^End the session/ }).first().click();
  await page.getByText('The session has ended.').waitFor();
  await page.goto('/settings/password');
  await page.getByLabel('Current password').fill('not it at all');
  await page.getByLabel('New password').fill('plums and staples');
  await page.getByRole('button', { name: 'Change password' }).click();
  const current = page.getByLabel('Current password');
  await eventually(async () => (await current.getAttribute('aria-invalid')) === 'true', 'the refusal');
  await current.fill('correct horse battery');
  await page.getByRole('button', { name: 'Change password' }).click();
  await page.getByText('Your password is changed.', { exact: false }).waitFor();
  assert.deepEqual(page.faults, []);
});

test('a theme is kept', async () => {
  await Client.join(APPS.a, 'dora');
  const page = await open(browser, APPS.a);
  await logIn(page, 'dora');
  await page.goto('/settings/appearance');
  await page.getByText('Dark', { exact: true }).click();
  await page.reload();
  await page.getByRole('radio', { name: 'Dark' }).waitFor({ state: 'attached' });
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
  assert.ok(await page.getByRole('radio', { name: 'Dark' }).isChecked());
});

test('an admin changes a setting within its bounds, and shuts somebody out', async () => {
  await Client.join(APPS.b, 'emil');
  await Client.join(APPS.b, 'finn');
  promote(APPS.b, 'emil');
  const page = await open(browser, APPS.b);
  await logIn(page, 'emil');
  await page.goto('/admin/settings');
  const length = page.getByLabel('Characters of a message, at most.');
  await length.fill('30000');
  await page.getByText('Between 1 and 20,000.').waitFor();
  assert.equal(await length.getAttribute('aria-invalid'), 'true');
  assert.ok(await page.getByRole('button', { name: 'Save' }).isDisabled());
  await length.fill('500');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Saved.').waitFor();
  await page.getByRole('link', { name: 'Audit log' }).click();
  await page.getByText('20000 → 500').waitFor();

  await page.getByRole('link', { name: 'Users' }).click();
  await page.getByLabel('Search users').fill('finn');
  await page.getByRole('button', { name: 'Manage finn' }).click();
  await page.getByRole('menuitem', { name: 'Deactivate' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Deactivate' }).click();
  await page.getByText('Deactivated').waitFor();
  assert.deepEqual(page.faults, []);
});

test('an admin makes an account, and its owner comes in with the password that was handed over', async () => {
  await Client.join(APPS.a, 'hana');
  promote(APPS.a, 'hana');
  const page = await open(browser, APPS.a);
  await logIn(page, 'hana');
  await page.goto('/admin/users');
  const opener = page.getByRole('button', { name: 'New account' });
  await opener.click();
  const dialog = page.getByRole('dialog', { name: 'New account' });
  await dialog.getByLabel('First name').fill('Ivo');
  await dialog.getByLabel('Username').fill('hana');
  await dialog.getByLabel('E-mail address').fill('ivo@example.org');
  await dialog.getByRole('button', { name: 'Create account' }).click();
  await dialog.getByText('This name is taken.').waitFor();
  await dialog.getByLabel('Username').fill('ivo');
  const password = await dialog.getByLabel('First password').inputValue();
  assert.match(password, /^(\w{5}-){3}\w{5}$/);
  await dialog.getByRole('button', { name: 'Create account' }).click();
  await page.getByText('Ivo has an account now.').waitFor();
  await page.getByText('ivo@example.org').waitFor();
  await page.getByRole('link', { name: 'Audit log' }).click();
  await page.getByRole('listitem').filter({ hasText: 'Account made' }).getByText('ivo', { exact: true }).waitFor();
  const ivo = await open(browser, APPS.a);
  await logIn(ivo, 'ivo', password);
  assert.deepEqual([page.faults, ivo.faults], [[], []]);
});

test('who is no admin is told so', async () => {
  await Client.join(APPS.a, 'gwen');
  const page = await open(browser, APPS.a);
  await logIn(page, 'gwen');
  await page.goto('/admin/users');
  await page.getByText('This is for admins').waitFor();
});
