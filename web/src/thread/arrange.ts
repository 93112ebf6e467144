import type { Message } from '$/api/client';
import type { Outgoing } from '$/state/outbox.svelte';
import { isSameDay } from '$/text/moments';

/** What stands in a thread, from top to bottom. */
export type Row =
  | { kind: 'day'; key: string; moment: string }
  | { kind: 'new'; key: string }
  | { kind: 'message'; key: string; message: Message; isMine: boolean; isFirst: boolean; isLast: boolean }
  | { kind: 'outgoing'; key: string; entry: Outgoing };

/** Milliseconds within which messages of one sender form a group. */
const GROUP = 5 * 60 * 1000;
/** Milliseconds by which the clocks of browser and app may differ. */
const CLOCKS = 2_000;

/**
 * The rows of a thread: days and the beginning of what is new between the messages, and after them what is on its way. What
 * the app has announced already is not shown a second time as on its way.
 */
export function arrange(
  messages: readonly Message[],
  outgoing: readonly Outgoing[],
  me: string,
  firstNew: string | null,
): Row[] {
  const rows: Row[] = [];
  messages.forEach((message, index) => {
    const before = messages[index - 1];
    const after = messages[index + 1];
    const isNewDay = !before || !isSameDay(before.created_at, message.created_at);
    const isFirstNew = message.id === firstNew;
    if (isNewDay) rows.push({ kind: 'day', key: `day-${message.id}`, moment: message.created_at });
    if (isFirstNew) rows.push({ kind: 'new', key: 'new' });
    rows.push({
      kind: 'message',
      key: message.id,
      message,
      isMine: message.sender.id === me,
      isFirst: isNewDay || isFirstNew || !belong(before, message),
      isLast: !after || after.id === firstNew || !belong(message, after),
    });
  });
  return [...rows, ...unannounced(messages, outgoing, me).map((entry) => ({ kind: 'outgoing' as const, key: entry.key, entry }))];
}

function belong(one: Message, other: Message): boolean {
  const gap = Date.parse(other.created_at) - Date.parse(one.created_at);
  const isOne = one.sender.id === other.sender.id && one.status !== 'failed';
  return isOne && gap < GROUP && isSameDay(one.created_at, other.created_at);
}

/** Over the socket a message may arrive before the answer to its send, which alone says that it is this one. */
function unannounced(messages: readonly Message[], outgoing: readonly Outgoing[], me: string): Outgoing[] {
  const recent = messages.slice(-20).filter((message) => message.sender.id === me);
  return outgoing.filter((entry) => {
    if (entry.state !== 'sending') return true;
    return !recent.some((message) => message.content === entry.content && isAfter(message, entry));
  });
}

function isAfter(message: Message, entry: Outgoing): boolean {
  return Date.parse(message.created_at) >= Date.parse(entry.created_at) - CLOCKS;
}
