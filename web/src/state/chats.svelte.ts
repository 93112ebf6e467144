import { SvelteMap, SvelteSet } from 'svelte/reactivity';
import { answered, type Api, type Conversation, type Message, type User } from '$/api/client';
import { Failure } from '$/api/failure';
import { cursorAfter } from './pages.svelte';
import { Thread } from './thread.svelte';

/** Milliseconds after which somebody who types is believed to have stopped. */
const TYPING = 10_000;
/** Conversations that are asked for at once. */
const PAGE = 30;

/** The conversations of the person who is logged in, and what is known of each. */
export class Chats {
  #byId = new SvelteMap<string, Conversation>();
  #threads = new Map<string, Thread>();
  #typing = new SvelteMap<string, SvelteMap<string, number>>();
  online = new SvelteSet<string>();
  status = $state<'loading' | 'ready' | 'failed'>('loading');
  failure = $state.raw<Failure | null>(null);
  hasMore = $state(false);
  isLoadingMore = $state(false);
  /** The conversation that is on the screen. */
  shown = $state<string | null>(null);
  /** Whether the screen is being looked at. */
  isVisible = $state(true);
  /** The conversation that is being looked at. */
  readonly watched = $derived(this.isVisible ? this.shown : null);
  readonly all = $derived([...this.#byId.values()].sort(latestFirst));
  readonly unread = $derived(this.all.reduce((sum, conversation) => sum + conversation.unread_count, 0));
  #next: string | null = null;

  constructor(
    readonly api: Api,
    readonly me: string,
  ) {}

  get(id: string): Conversation | undefined {
    return this.#byId.get(id);
  }

  /** The messages of a conversation, or the answers to one of them. */
  thread(id: string, parent: string | null = null): Thread {
    const key = parent ?? id;
    let thread = this.#threads.get(key);
    if (!thread) {
      thread = new Thread(this.api, id, parent);
      this.#threads.set(key, thread);
    }
    return thread;
  }

  /** Reads the list, and again whatever of it is on the screen. */
  async load(): Promise<void> {
    this.failure = null;
    if (this.status === 'failed') this.status = 'loading';
    try {
      const page = await this.#page('');
      const isAll = page.next === null;
      // One that is not on the list any more has been hidden.
      if (isAll) for (const id of [...this.#byId.keys()]) if (id !== this.shown) this.#byId.delete(id);
      for (const conversation of page.results) this.#byId.set(conversation.id, conversation);
      // What has been read further down stays.
      if (isAll || this.#next === null) this.#next = cursorAfter(page);
      this.hasMore = this.#next !== null;
      this.status = 'ready';
    } catch (cause) {
      this.failure = Failure.of(cause);
      if (this.#byId.size === 0) this.status = 'failed';
    }
  }

  async loadMore(): Promise<void> {
    if (this.#next === null || this.isLoadingMore) return;
    this.isLoadingMore = true;
    try {
      const page = await this.#page(this.#next);
      this.#next = cursorAfter(page);
      for (const conversation of page.results) this.#byId.set(conversation.id, conversation);
      this.hasMore = this.#next !== null;
    } catch (cause) {
      this.failure = Failure.of(cause);
    } finally {
      this.isLoadingMore = false;
    }
  }

  /** A conversation, asked for if it is not known. */
  async fetch(id: string): Promise<Conversation> {
    const params = { path: { id } };
    const conversation = await answered(this.api.GET('/api/chats/conversations/{id}/', { params }));
    this.#byId.set(id, conversation);
    return conversation;
  }

  /** Begins a conversation; one that there is already with this one person is given back. */
  async create(participants: string[], title: string | null, key: string): Promise<Conversation> {
    const body = title === null ? { participants } : { participants, title, kind: 'group' as const };
    const params = { header: { 'Idempotency-Key': key } };
    const conversation = await answered(this.api.POST('/api/chats/conversations/', { params, body }));
    this.#byId.set(conversation.id, conversation);
    return conversation;
  }

  set(conversation: Conversation): void {
    this.#byId.set(conversation.id, conversation);
  }

  remove(id: string): void {
    this.#byId.delete(id);
    for (const [key, thread] of this.#threads) if (thread.conversation === id) this.#threads.delete(key);
  }

  /** Takes note of a message, new or changed; whether it is a new one of somebody else. */
  take(message: Message, isNew: boolean): boolean {
    this.#spread(message, isNew);
    const conversation = this.#byId.get(message.conversation);
    const isOthers = message.sender.id !== this.me;
    if (isNew && isOthers) this.#typing.get(message.conversation)?.delete(message.sender.id);
    if (!conversation) {
      if (isNew) void this.fetch(message.conversation).catch(() => undefined);
      return isNew && isOthers;
    }
    const last = conversation.last_message;
    const isRepeated = last?.id === message.id;
    const isLast = isRepeated || !last || last.created_at < message.created_at;
    const counts = isNew && isOthers && isLast && !isRepeated;
    this.#byId.set(conversation.id, {
      ...conversation,
      last_message: isLast ? message : last,
      updated_at: isLast && isNew ? message.created_at : conversation.updated_at,
      unread_count: conversation.unread_count + (counts ? 1 : 0),
    });
    return counts;
  }

  /** Says that everything in a conversation has been read. */
  async read(id: string): Promise<void> {
    const conversation = this.#byId.get(id);
    const last = this.#threads.get(id)?.messages.at(-1) ?? conversation?.last_message;
    if (!conversation || !last || conversation.unread_count === 0) return;
    this.#byId.set(id, { ...conversation, unread_count: 0 });
    const params = { path: { id } };
    try {
      await answered(this.api.POST('/api/chats/conversations/{id}/read/', { params, body: { message: last.id } }));
    } catch {
      // It will be said again with the next look; until then the count is as the app has it.
      const now = this.#byId.get(id);
      if (now) this.#byId.set(id, { ...now, unread_count: now.unread_count + conversation.unread_count });
    }
  }

  /** Reads anew what may have changed unseen. */
  async resync(): Promise<void> {
    for (const [key, { conversation }] of this.#threads) if (conversation !== this.shown) this.#threads.delete(key);
    await Promise.all([this.load(), ...[...this.#threads.values()].map((thread) => thread.load())]);
  }

  setTyping(conversation: string, user: string, isActive: boolean): void {
    if (user === this.me) return;
    const there = this.#typing.get(conversation) ?? new SvelteMap<string, number>();
    const until = Date.now() + TYPING;
    if (isActive) there.set(user, until);
    else there.delete(user);
    this.#typing.set(conversation, there);
    setTimeout(() => {
      if (there.get(user) === until) there.delete(user);
    }, TYPING);
  }

  /** Who is typing in a conversation. */
  typing(conversation: string): User[] {
    const ids = this.#typing.get(conversation);
    const participants = this.#byId.get(conversation)?.participants ?? [];
    return ids ? participants.map(({ user }) => user).filter((user) => ids.has(user.id)) : [];
  }

  /** Tells the threads of a message: that of its conversation, that of what it answers, and that of what answers it. */
  #spread(message: Message, isNew: boolean): void {
    const main = this.#threads.get(message.conversation);
    const isKnown = main?.find(message.id) !== undefined;
    for (const key of [message.conversation, message.parent, message.id]) {
      const thread = key === null ? undefined : this.#threads.get(key);
      thread?.put(message);
      if (isNew && !isKnown && message.parent) thread?.answered(message.parent);
    }
  }

  #page(cursor: string) {
    const query = { cursor, page_size: PAGE };
    return answered(this.api.GET('/api/chats/conversations/', { params: { query } }));
  }
}

function latestFirst(a: Conversation, b: Conversation): number {
  return a.updated_at < b.updated_at ? 1 : -1;
}
