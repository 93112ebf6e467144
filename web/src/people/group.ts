import { answered, type Api, type Conversation, type Role } from '$/api/client';

/* What owners and admins do to a group, and what everybody may do to leave it. */

export function rename(api: Api, id: string, title: string): Promise<Conversation> {
  const params = { path: { id } };
  return answered(api.PATCH('/api/chats/conversations/{id}/', { params, body: { title } }));
}

export function add(api: Api, id: string, participants: string[]): Promise<Conversation> {
  const params = { path: { id } };
  return answered(api.POST('/api/chats/conversations/{id}/participants/', { params, body: { participants } }));
}

export async function setRole(api: Api, id: string, user: string, role: Role): Promise<void> {
  const params = { path: { id, user } };
  await answered(api.PATCH('/api/chats/conversations/{id}/participants/{user}/', { params, body: { role } }));
}

/** Takes somebody out, or lets somebody leave. */
export async function remove(api: Api, id: string, user: string): Promise<void> {
  const params = { path: { id, user } };
  await answered(api.DELETE('/api/chats/conversations/{id}/participants/{user}/', { params }));
}

/** Ends a group for everybody. */
export async function end(api: Api, id: string): Promise<void> {
  await answered(api.DELETE('/api/chats/conversations/{id}/', { params: { path: { id } } }));
}
