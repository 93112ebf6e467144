import { beforeEach, expect, test, vi } from 'vitest';
import { json } from '$/test-people';
import { AboutApp } from './about.svelte';
import { Session } from './session.svelte';

const me = { id: 'id', username: 'alice', csrf: true };
let asked: Request[];

function app(answer: (request: Request) => Response): Session {
  asked = [];
  vi.stubGlobal('fetch', async (input: Request | string) => {
    const request = input instanceof Request ? input : new Request(new URL(input, location.origin));
    asked.push(request);
    return answer(request);
  });
  return new Session(new AboutApp());
}

const path = (request: Request) => new URL(request.url).pathname;
const paths = () => asked.map((request) => `${request.method} ${path(request)}`);

beforeEach(() => {
  localStorage.clear();
  document.cookie = 'csrftoken=token';
  // jsdom's requests know no relative addresses.
  const Original = globalThis.Request;
  if (!('patched' in Original)) {
    vi.stubGlobal(
      'Request',
      class extends Original {
        static patched = true;
        constructor(input: RequestInfo | URL, init?: RequestInit) {
          super(typeof input === 'string' ? new URL(input, location.origin) : input, init);
        }
      },
    );
  }
});

test('a session that has run out is renewed once, and the request sent again', async () => {
  let isFresh = false;
  const session = app((request) => {
    if (path(request) === '/api/auth/refresh/') isFresh = true;
    return isFresh ? json(me) : json({ code: 'invalid_token' }, 401);
  });
  await session.resume();
  expect(session.status).toBe('active');
  expect(paths()).toEqual(['GET /api/auth/me/', 'POST /api/auth/refresh/', 'GET /api/auth/me/']);
});

test('requests that fail together renew it together', async () => {
  let isFresh = false;
  const session = app((request) => {
    if (path(request) === '/api/auth/refresh/') isFresh = true;
    return isFresh ? json(me) : json({ code: 'invalid_token' }, 401);
  });
  await Promise.all([session.api.GET('/api/auth/me/'), session.api.GET('/api/auth/me/')]);
  expect(paths().filter((one) => one === 'POST /api/auth/refresh/')).toHaveLength(1);
});

test('one that cannot be renewed has expired, or was none', async () => {
  const session = app(() => json({ code: 'invalid_token' }, 401));
  await session.resume();
  expect(session.status).toBe('anonymous');
  session.status = 'active';
  await session.api.GET('/api/auth/me/');
  expect(session.status).toBe('expired');
});

test('what changes something carries the token of the cookie, and nothing else does', async () => {
  const session = app(() => json({}));
  await session.api.GET('/api/auth/me/');
  await session.api.POST('/api/auth/logout/', { body: {} });
  expect(asked.map((request) => request.headers.get('X-CSRFToken'))).toEqual([null, 'token']);
});

test('a stale token is replaced and the request sent again', async () => {
  let isFresh = false;
  const session = app((request) => {
    if (path(request) === '/api/auth/csrf/') isFresh = true;
    return isFresh ? json({}) : json({ code: 'csrf_failed' }, 403);
  });
  await session.api.POST('/api/auth/logout/', { body: {} });
  expect(paths()).toEqual(['POST /api/auth/logout/', 'GET /api/auth/csrf/', 'POST /api/auth/logout/']);
});
