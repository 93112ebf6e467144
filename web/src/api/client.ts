import createClient, { type Client } from 'openapi-fetch';
import { Failure } from './failure';
import type { components, paths } from './schema';

export type Schemas = components['schemas'];
export type User = Schemas['UserCard'];
export type Profile = Schemas['Profile'];
export type Conversation = Schemas['Conversation'];
export type Participant = Schemas['Participant'];
export type Role = Schemas['Role'];
export type Message = Schemas['Message'];
export type InboxMessage = Schemas['InboxMessage'];
export type Device = Schemas['Device'];
export type About = Schemas['About'];

export type Api = Client<paths>;

/** The client of the app that has served the page. */
export function createApi(fetch: (request: Request) => Promise<Response>): Api {
  return createClient<paths>({ baseUrl: location.origin, fetch });
}

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** What a request is answered with; throws a {@link Failure} if that is an error, or if there is no answer. */
export async function answered<T>(request: Promise<Answer<T>>): Promise<T> {
  let answer: Answer<T>;
  try {
    answer = await request;
  } catch (cause) {
    throw Failure.of(cause);
  }
  if (!answer.response.ok) throw Failure.answered(answer.response, answer.error);
  // Of a 204 there is none, and then nobody asks for it.
  return answer.data as T;
}
