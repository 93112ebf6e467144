import { beforeEach, expect, test, vi } from 'vitest';
import { createApi, type Message } from '$/api/client';
import { answering, json, message, person } from '$/test-people';
import { Outbox } from './outbox.svelte';

const alice = person('alice');
const problem = (status: number, code: string, headers = {}) => json({ code, detail: code }, status, headers);

beforeEach(() => {
  localStorage.clear();
  vi.useFakeTimers();
});

function outbox(answer: (request: Request) => Response | Promise<Response>) {
  const app = answering(answer);
  const sent: Message[] = [];
  return { app, sent, box: new Outbox(createApi(app.fetch), 'alice', (one) => sent.push(one)) };
}

const settle = () => vi.advanceTimersByTimeAsync(0);
const keys = (requests: Request[]) => requests.map((request) => request.headers.get('Idempotency-Key'));

test('a message is there at once and leaves when the app has it', async () => {
  const { box, sent } = outbox(() => json(message(alice, 'Hello'), 201));
  box.add('c', 'Hello', null);
  expect(box.of('c')).toMatchObject([{ content: 'Hello', state: 'sending' }]);
  await settle();
  expect(box.entries).toEqual([]);
  expect(sent).toHaveLength(1);
  expect(localStorage).toHaveLength(0);
});

test('without a connection it waits, and goes out under the same key, in order', async () => {
  let isOffline = true;
  const { app, box } = outbox(async (request) => {
    if (isOffline) throw new TypeError('Failed to fetch');
    const { content } = (await request.json()) as { content: string };
    return json(message(alice, content), 201);
  });
  box.add('c', 'one', null);
  box.add('c', 'two', null);
  await settle();
  expect(box.of('c').map((entry) => entry.state)).toEqual(['waiting', 'sending']);
  isOffline = false;
  box.flush();
  await settle();
  expect(box.entries).toEqual([]);
  const [first, again, second] = keys(app.asked);
  expect(again).toBe(first);
  expect(second).not.toBe(first);
});

test('what the app refuses says why, and stays until its author decides', async () => {
  const { app, box } = outbox(() => problem(403, 'not_a_participant'));
  box.add('c', 'Hello', null);
  await settle();
  const [entry] = box.of('c');
  expect(entry).toMatchObject({ state: 'failed', reason: 'not_a_participant' });
  box.flush();
  await settle();
  expect(app.asked).toHaveLength(1);
  box.retry(entry?.key ?? '');
  await settle();
  expect(new Set(keys(app.asked)).size).toBe(1);
  expect(app.asked).toHaveLength(2);
  box.discard(entry?.key ?? '');
  expect(localStorage).toHaveLength(0);
});

test('a busy app is asked again when it said', async () => {
  let tries = 0;
  const { app, box } = outbox(() => (++tries === 1 ? problem(429, 'rate_limited', { 'Retry-After': '7' }) : json(message(alice, 'x'), 201)));
  box.add('c', 'x', null);
  await vi.advanceTimersByTimeAsync(6_900);
  expect(app.asked).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(200);
  expect(app.asked).toHaveLength(2);
  expect(box.entries).toEqual([]);
});

test('what was on its way is still there when the page comes again', async () => {
  const { box } = outbox(() => {
    throw new TypeError('Failed to fetch');
  });
  box.add('c', 'Hello', 'p');
  await settle();
  box.stop();
  const { app, box: next } = outbox(() => json(message(alice, 'Hello'), 201));
  expect(next.of('c')).toMatchObject([{ content: 'Hello', parent: 'p' }]);
  next.flush();
  await settle();
  expect(app.asked).toHaveLength(1);
});

test('what has failed with the other app is sent again under one key, however often that is asked for', async () => {
  const { app, box } = outbox(() => json(message(alice, 'Hello'), 201));
  const failed = message(alice, 'Hello', { status: 'failed', status_reason: 'expired', parent: 'p' });
  box.resend(failed);
  box.resend(failed);
  await settle();
  box.resend(failed);
  await settle();
  expect(box.resent.has(failed.id)).toBe(true);
  expect(new Set(keys(app.asked)).size).toBe(1);
  expect(await app.asked[0]?.json()).toMatchObject({ content: 'Hello', parent: 'p' });
});
