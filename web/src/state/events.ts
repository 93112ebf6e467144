import type { Conversation, Message } from '$/api/client';

/* What comes over the socket is as the API describes it; these tell which of its forms it is. */

type Fields = Record<string, unknown>;

export interface Typing {
  conversation: string;
  user: string;
  active: boolean;
}

export interface Presence {
  online: string[];
  offline: string[];
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}

export function isMessage(value: unknown): value is Message {
  return isObject(value) && typeof value['conversation'] === 'string' && isObject(value['sender']);
}

export function isConversation(value: unknown): value is Conversation {
  return isObject(value) && typeof value['id'] === 'string' && Array.isArray(value['participants']);
}

export function isTyping(value: unknown): value is Typing {
  return isObject(value) && typeof value['user'] === 'string' && typeof value['active'] === 'boolean';
}

export function isPresence(value: unknown): value is Presence {
  return isObject(value) && Array.isArray(value['online']) && Array.isArray(value['offline']);
}
