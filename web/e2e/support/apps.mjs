// The two apps, and what people do with them without a browser.

import { execFileSync, spawn } from 'node:child_process';
import { dirname } from 'node:path';

/** Where a browser opens an app: each has a host name of its own, so that they share no cookies. */
const opened = (url, host) => `http://${host}.localhost:${url.port}`;

/** The two apps as scripts/with-apps tells of them. */
export function appsOf(env) {
  const need = (name) => {
    if (!env[name]) throw new Error(`${name} is not set; run this by scripts/with-apps`);
    return env[name];
  };
  const app = (name, url, pid) => ({
    name,
    api: url.origin,
    page: opened(url, name),
    pid: Number(need(pid)),
    folder: dirname(need('ENV_FILE')),
  });
  return { a: app('app-a', new URL(need('URL_A')), 'PID_A'), b: app('app-b', new URL(need('URL_B')), 'PID_B') };
}

export const APPS = appsOf(process.env);

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
  execFileSync(binaryOf(app), ['create-admin', '--promote', '--username', username], { cwd: app.folder });
}

/** Ends an app, and comes back when it does not answer any more. */
export async function halt(app) {
  process.kill(app.pid, 'SIGTERM');
  const answers = () => fetch(`${app.api}/health/live`).then(() => true, () => false);
  await eventually(async () => !(await answers()), `the end of ${app.name}`, 60);
}

/** Starts an app again that was ended; whoever does has to end it. */
export async function start(app) {
  const child = spawn(binaryOf(app), ['serve'], { cwd: app.folder, stdio: 'ignore' });
  app.pid = child.pid;
  await eventually(() => fetch(`${app.api}/health/ready`).then((answer) => answer.ok), `the start of ${app.name}`, 60);
}

function binaryOf(app) {
  const folder = process.env.CARGO_TARGET_DIR ?? new URL('../../../target', import.meta.url).pathname;
  return `${process.env.BIN ?? `${folder}/debug`}/${app.name}`;
}
