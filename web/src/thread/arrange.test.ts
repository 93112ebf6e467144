import { expect, test } from 'vitest';
import type { Outgoing } from '$/state/outbox.svelte';
import { message, person } from '$/test-people';
import { arrange } from './arrange';

const alice = person('alice');
const bob = person('bob', 'app-b');
const at = (created_at: string) => ({ created_at });

function entry(content: string, state: Outgoing['state'] = 'sending'): Outgoing {
  return { key: 'k', conversation: 'c', content, parent: null, created_at: new Date(2026, 0, 31, 12, 0).toISOString(), state, reason: null };
}

test('messages of one sender within five minutes are a group', () => {
  const minute = (minutes: number) => at(new Date(2026, 0, 31, 12, minutes).toISOString());
  const rows = arrange(
    [message(bob, 'a', minute(0)), message(bob, 'b', minute(4)), message(bob, 'c', minute(10)), message(alice, 'd', minute(11))],
    [],
    alice.id,
    null,
  );
  const groups = rows.flatMap((row) => (row.kind === 'message' ? [[row.isFirst, row.isLast, row.isMine]] : []));
  expect(groups).toEqual([[true, false, false], [false, true, false], [true, true, false], [true, true, true]]);
});

test('each day begins with its name', () => {
  const day = (date: number) => at(new Date(2026, 0, date, 12).toISOString());
  const rows = arrange([message(bob, 'a', day(30)), message(bob, 'b', day(31)), message(bob, 'c', day(31))], [], alice.id, null);
  expect(rows.map((row) => row.kind)).toEqual(['day', 'message', 'day', 'message', 'message']);
});

test('a line stands above the first new message and parts groups', () => {
  const [old, fresh] = [message(bob, 'old'), message(bob, 'fresh')];
  const rows = arrange([old, fresh], [], alice.id, fresh.id);
  expect(rows.map((row) => row.kind)).toEqual(['day', 'message', 'new', 'message']);
  expect(rows[1]).toMatchObject({ isLast: true });
  expect(rows[3]).toMatchObject({ isFirst: true });
});

test('what is on its way comes last, and only once', () => {
  const told = message(alice, 'Hello', at(new Date(2026, 0, 31, 12, 0, 1).toISOString()));
  expect(arrange([], [entry('Hello')], alice.id, null)).toHaveLength(1);
  expect(arrange([told], [entry('Hello')], alice.id, null).map((row) => row.kind)).toEqual(['day', 'message']);
  // One that waits or has failed has not been told of, whatever was said before.
  expect(arrange([told], [entry('Hello', 'failed')], alice.id, null).map((row) => row.kind)).toEqual(['day', 'message', 'outgoing']);
  const before = message(alice, 'Hello', at(new Date(2026, 0, 31, 11, 0).toISOString()));
  expect(arrange([before], [entry('Hello')], alice.id, null).map((row) => row.kind)).toEqual(['day', 'message', 'outgoing']);
});
