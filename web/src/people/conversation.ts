import type { Conversation, Participant, User } from '$/api/client';
import { t } from '$/strings';
import { nameOf } from './person';

/** Those who take part now. */
export function present(conversation: Conversation): Participant[] {
  return conversation.participants.filter((participant) => participant.left_at === null);
}

/** The other person of a direct conversation; the person themselves in a conversation with nobody else. */
export function partner(conversation: Conversation, me: string): User | null {
  if (conversation.kind !== 'direct') return null;
  const users = conversation.participants.map((participant) => participant.user);
  return users.find((user) => user.id !== me) ?? users[0] ?? null;
}

/** What the list calls a conversation. */
export function titleOf(conversation: Conversation, me: string): string {
  const other = partner(conversation, me);
  if (other) return nameOf(other);
  if (conversation.title) return conversation.title;
  const others = present(conversation).filter(({ user }) => user.id !== me);
  return others.map(({ user }) => nameOf(user)).join(', ') || t.conversation.nobodyElse;
}

/** The other apps that those who take part now belong to. */
export function peersIn(conversation: Conversation, app: string): string[] {
  return [...new Set(present(conversation).map(({ user }) => user.app))].filter((other) => other !== app);
}

/** What the person is in a conversation, or null if they are in it no more. */
export function roleIn(conversation: Conversation, me: string): Participant['role'] | null {
  return present(conversation).find(({ user }) => user.id === me)?.role ?? null;
}
