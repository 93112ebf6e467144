// The two apps, and what people do with them without a browser.

import { execFileSync } from 'node:child_process';
import { dirname } from 'node:path';

const need = (name) => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; run this by scripts/with-apps`);
  return value;
};

/** Where a browser opens an app: each has a host name of its own, so that they share no cookies. */
const opened = (url, host) => `http://${host}.localhost:${url.port}`;

const a = new URL(need('URL_A'));
const b = new URL(need('URL_B'));

export const APPS = {
  a: { api: a.origin, page: opened(a, 'app-a'), name: 'app-a' },
  b: { api: b.origin, page: opened(b, 'app-b'), name: 'app-b' },
};

export const PASSWORD = 'correct horse battery';

/** Somebody who uses the API of an app directly. */
export class Client {
  constructor(app, username, token) {
    this.app = app;
    this.username = username;
    this.token = token;
  }

  get address() {
    return `${this.username}@${this.app.name}`;
  }

  static async join(app, username, names = {}) {
    const person = { username, email: `${username}@example.org`, password: PASSWORD, ...names };
    await call(app, 'POST', '/api/auth/register/', person);
    const { access_token: token } = await call(app, 'POST', '/api/auth/login/', { username, password: PASSWORD });
    return new Client(app, username, token);
  }

  call(method, path, body) {
    return call(this.app, method, path, body, this.token);
  }

  send(recipient, content, more = {}) {
    return this.call('POST', '/api/messages/send/', { recipient, content, ...more });
  }

  say(conversation, content, more = {}) {
    return this.call('POST', '/api/chats/messages/', { conversation, content, ...more });
  }
}

async function call(app, method, path, body, token) {
  const headers = { 'content-type': 'application/json' };
  if (token) headers.authorization = `Bearer ${token}`;
  const response = await fetch(app.api + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text === '' ? null : JSON.parse(text);
}

/** Asks until something is true, for as long as a person would wait. */
export async function eventually(ask, what = 'it', seconds = 30) {
  const end = Date.now() + seconds * 1000;
  let last;
  while (Date.now() < end) {
    try {
      const value = await ask();
      if (value) return value;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${what} has not come true within ${seconds} seconds`, { cause: last });
}

/** Gives somebody the rights of an admin, as an operator does it. */
export function promote(app, username) {
  const folder = process.env.CARGO_TARGET_DIR ?? new URL('../../../target', import.meta.url).pathname;
  const binary = `${process.env.BIN ?? `${folder}/debug`}/${app.name}`;
  execFileSync(binary, ['create-admin', '--promote', '--username', username], { cwd: dirname(need('ENV_FILE')) });
}
