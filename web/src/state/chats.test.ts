import { expect, test } from 'vitest';
import { createApi } from '$/api/client';
import { answering, conversation, json, message, person } from '$/test-people';
import { Chats } from './chats.svelte';
import { merged } from './thread.svelte';

const alice = person('alice');
const bob = person('bob', 'app-b');

function chats(answer = (): Response => json({})) {
  const app = answering(answer);
  return { app, all: new Chats(createApi(app.fetch), alice.id) };
}

test('a message of somebody else counts as unread once, and moves its conversation up', () => {
  const { all } = chats();
  all.set(conversation([alice, bob]));
  all.set(conversation([alice, bob], { id: 'other', updated_at: '2026-01-31T12:00:00.5Z' }));
  const hello = message(bob, 'Hello');
  expect(all.take(hello, true)).toBe(true);
  expect(all.take(hello, true)).toBe(false);
  expect(all.unread).toBe(1);
  expect(all.all[0]?.id).toBe('c');
  expect(all.take(message(alice, 'Hi'), true)).toBe(false);
  expect(all.unread).toBe(1);
});

test('an edit of an older message leaves the last one alone', () => {
  const { all } = chats();
  const [first, last] = [message(bob, 'first'), message(bob, 'last')];
  all.set(conversation([alice, bob], { last_message: last }));
  all.take({ ...first, content: 'changed' }, false);
  expect(all.get('c')?.last_message?.content).toBe('last');
  all.take({ ...last, content: 'changed' }, false);
  expect(all.get('c')?.last_message?.content).toBe('changed');
});

test('reading is told once, and taken back if the app does not hear of it', async () => {
  const { all, app } = chats(() => json({ code: 'internal' }, 500));
  all.set(conversation([alice, bob], { unread_count: 3, last_message: message(bob, 'x') }));
  await all.read('c');
  expect(all.unread).toBe(3);
  expect(app.asked).toHaveLength(1);
});

test('who types is shown until they write or stop', () => {
  const { all } = chats();
  all.set(conversation([alice, bob]));
  all.setTyping('c', bob.id, true);
  all.setTyping('c', alice.id, true);
  expect(all.typing('c')).toEqual([bob]);
  all.take(message(bob, 'Done'), true);
  expect(all.typing('c')).toEqual([]);
});

test('lists that meet become one, in the order of time, the later form of each message in it', () => {
  const [a, b, c] = [message(bob, 'a'), message(bob, 'b'), message(bob, 'c')];
  const changed = { ...b, content: 'changed' };
  expect(merged([a, b], [changed, c]).map((one) => one.content)).toEqual(['a', 'changed', 'c']);
  expect(merged([c], [b, a]).map((one) => one.content)).toEqual(['a', 'b', 'c']);
});

test('a reply is counted once where it was answered, and stands in its thread', async () => {
  const { all } = chats(() => json({ next: null, results: [] }));
  all.set(conversation([alice, bob]));
  const question = message(bob, 'Where?');
  const main = all.thread('c');
  await main.load();
  all.take(question, true);
  const replies = all.thread('c', question.id);
  [replies.root, replies.status] = [question, 'ready'];
  const answer = message(alice, 'Here', { parent: question.id });
  all.take(answer, true);
  all.take(answer, true);
  all.take(message(bob, 'Something else'), true);
  expect(main.find(question.id)?.reply_count).toBe(1);
  expect(replies.root?.reply_count).toBe(1);
  expect(replies.messages).toEqual([answer]);
  all.take({ ...question, content: 'Where, then?' }, false);
  expect(replies.root?.content).toBe('Where, then?');
});

test('what is on the screen of a hidden page is read anew, and stays what it was', async () => {
  const { all } = chats(() => json({ next: null, results: [] }));
  const [shown, other] = [all.thread('c'), all.thread('other')];
  all.shown = 'c';
  all.isVisible = false;
  await all.resync();
  expect(all.watched).toBeNull();
  expect(all.thread('c')).toBe(shown);
  expect(all.thread('other')).not.toBe(other);
});
