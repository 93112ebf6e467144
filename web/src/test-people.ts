import type { Conversation, Message, User } from '$/api/client';

/* People and what they write, for tests. */

export function person(username: string, app = 'app-a'): User {
  return { id: `id-${username}`, username, app, address: `${username}@${app}`, first_name: '', last_name: '', profile_picture: null };
}

let written = 0;

export function message(sender: User, content: string, more: Partial<Message> = {}): Message {
  written += 1;
  const at = new Date(Date.UTC(2026, 0, 31, 12, 0, written)).toISOString();
  return {
    id: `message-${String(written).padStart(4, '0')}`,
    conversation: 'c',
    sender,
    content,
    parent: null,
    status: 'relayed',
    created_at: at,
    edited_at: null,
    deleted_at: null,
    origin: sender.app,
    reply_count: 0,
    ...more,
  };
}

export function conversation(people: User[], more: Partial<Conversation> = {}): Conversation {
  const at = '2026-01-31T12:00:00Z';
  const [first] = people;
  if (!first) throw new Error('nobody takes part');
  return {
    id: 'c',
    kind: 'direct',
    title: null,
    created_by: first,
    participants: people.map((user) => ({ user, role: 'member', joined_at: at, left_at: null })),
    last_message: null,
    unread_count: 0,
    created_at: at,
    updated_at: at,
    ended_at: null,
    ...more,
  };
}

/** An app that answers each request as `answer` says, and what it was asked. */
export function answering(answer: (request: Request) => Response | Promise<Response>): { asked: Request[]; fetch: (request: Request) => Promise<Response> } {
  const asked: Request[] = [];
  const fetch = async (request: Request): Promise<Response> => {
    asked.push(request.clone());
    return answer(request);
  };
  return { asked, fetch };
}

export function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json', ...headers } });
}
