// A browser, and people who sit before it.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';
import { PASSWORD } from './apps.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const PLACES = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export async function launch() {
  const executablePath = PLACES.find((place) => place && existsSync(place));
  assert.ok(executablePath, 'there is no Chromium; CHROMIUM may say where it is');
  return chromium.launch({ executablePath, args: ['--no-sandbox'] });
}

/** A window of its own, with its own cookies. Whatever the page complains of ends up in `faults`. */
export async function open(browser, app, options = {}) {
  const context = await browser.newContext({ baseURL: app.page, viewport: { width: 1280, height: 800 }, ...options });
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  const faults = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message) => {
    // What the network does is part of some tests; what the page does is not.
    if (message.type() === 'error' && !/Failed to load resource|WebSocket connection|ERR_INTERNET/.test(message.text())) faults.push(message.text());
  });
  page.faults = faults;
  return page;
}

export async function logIn(page, username, password = PASSWORD) {
  await page.goto('/login');
  await page.getByLabel('Username or e-mail address').fill(username);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('link', { name: 'Conversations' }).waitFor();
}

/** Looks at a page as someone who cannot see it would have to; gives what violates axe's rules. */
export async function checkAccess(page, where) {
  // The policy of the page lets no script in; this one comes from the debugger.
  const client = await page.context().newCDPSession(page);
  await client.send('Runtime.evaluate', { expression: AXE });
  const { result } = await client.send('Runtime.evaluate', {
    expression: 'axe.run(document).then((found) => JSON.stringify(found.violations.map((v) => [v.id, v.nodes.map((n) => n.html.slice(0, 200) + " :: " + n.failureSummary.slice(0, 300))])))',
    awaitPromise: true,
  });
  await client.detach();
  const violations = JSON.parse(result.value);
  return violations.map((violation) => `${where}: ${JSON.stringify(violation)}`);
}
