import { SvelteSet } from 'svelte/reactivity';
import { answered, type Api, type Message } from '$/api/client';
import { Failure } from '$/api/failure';
import { newKey } from './key';
import { forget, recallJson, remember } from './storage';

/** A message that the app has not taken yet. */
export interface Outgoing {
  /** Its idempotency key: however often it is sent, it is one message. */
  key: string;
  conversation: string;
  content: string;
  parent: string | null;
  created_at: string;
  state: 'sending' | 'waiting' | 'failed';
  /** Why it has failed, for people. */
  reason: string | null;
}

/** Milliseconds before the second try; each further one waits twice as long. */
const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 30_000;

/**
 * Messages on their way to the app, of each conversation in the order in which they were written. They are kept until
 * the app has them, and go out again when there is a connection; one that the app refuses stays until its author decides.
 */
export class Outbox {
  entries = $state.raw<readonly Outgoing[]>([]);
  /** The failed messages that have been sent again. */
  readonly resent = new SvelteSet<string>();
  readonly #api: Api;
  readonly #prefix: string;
  readonly #sent: (message: Message) => void;
  readonly #running = new Set<string>();
  #tries = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(api: Api, user: string, sent: (message: Message) => void) {
    this.#api = api;
    this.#prefix = `outbox.${user}.`;
    this.#sent = sent;
    this.entries = kept(this.#prefix);
  }

  of(conversation: string): Outgoing[] {
    return this.entries.filter((entry) => entry.conversation === conversation);
  }

  /** Sends a message. What has failed with the other app is sent again under a key of its own, and so once. */
  add(conversation: string, content: string, parent: string | null, key = newKey()): void {
    if (this.entries.some((entry) => entry.key === key)) return;
    const created_at = new Date().toISOString();
    const entry: Outgoing = { key, conversation, content, parent, created_at, state: 'sending', reason: null };
    this.entries = [...this.entries, entry];
    this.#keep(entry);
    void this.#run(conversation);
  }

  /** Sends a message anew that the other app has not taken. */
  resend({ id, conversation, content, parent, edited_at }: Message): void {
    if (content === null) return;
    this.resent.add(id);
    this.add(conversation, content, parent, `again-${id}-${edited_at ?? ''}`.replace(/[^\w-]/g, ''));
  }

  retry(key: string): void {
    this.#change(key, { state: 'sending', reason: null });
    this.flush();
  }

  discard(key: string): void {
    this.entries = this.entries.filter((entry) => entry.key !== key);
    forget(this.#prefix + key);
  }

  /** Sends what is waiting. */
  flush(): void {
    clearTimeout(this.#timer);
    for (const conversation of new Set(this.entries.map((entry) => entry.conversation))) void this.#run(conversation);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  async #run(conversation: string): Promise<void> {
    if (this.#running.has(conversation)) return;
    this.#running.add(conversation);
    try {
      for (let next = this.#next(conversation); next; next = this.#next(conversation)) {
        if (!(await this.#send(next))) return;
      }
    } finally {
      this.#running.delete(conversation);
    }
  }

  #next(conversation: string): Outgoing | undefined {
    return this.entries.find((entry) => entry.conversation === conversation && entry.state !== 'failed');
  }

  /** Whether the next one may be sent now. */
  async #send({ key, conversation, content, parent }: Outgoing): Promise<boolean> {
    this.#change(key, { state: 'sending', reason: null });
    const params = { header: { 'Idempotency-Key': key } };
    const body = parent ? { conversation, content, parent } : { conversation, content };
    try {
      const message = await answered(this.#api.POST('/api/chats/messages/', { params, body }));
      this.#tries = 0;
      this.discard(key);
      this.#sent(message);
      return true;
    } catch (cause) {
      const failure = Failure.of(cause);
      if (!failure.isTransient && failure.status !== 401) {
        this.#change(key, { state: 'failed', reason: failure.fields['content'] ?? failure.message });
        return true;
      }
      this.#change(key, { state: 'waiting', reason: null });
      this.#wait(failure.retryAfter);
      return false;
    }
  }

  #wait(seconds: number | null): void {
    const wait = seconds === null ? Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#tries) : seconds * 1000;
    this.#tries += 1;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.flush(), wait);
  }

  #change(key: string, change: Partial<Outgoing>): void {
    this.entries = this.entries.map((entry) => (entry.key === key ? { ...entry, ...change } : entry));
    const entry = this.entries.find((other) => other.key === key);
    if (entry) this.#keep(entry);
  }

  #keep(entry: Outgoing): void {
    remember(this.#prefix + entry.key, JSON.stringify(entry));
  }
}

function kept(prefix: string): Outgoing[] {
  let keys: string[] = [];
  try {
    keys = Object.keys(localStorage).filter((key) => key.startsWith(prefix));
  } catch {
    // Nothing is kept in this browser.
  }
  const entries = keys.map((key) => recallJson(key, isOutgoing)).filter((entry) => entry !== null);
  return entries.sort((a, b) => (a.created_at < b.created_at ? -1 : 1));
}

function isOutgoing(value: unknown): value is Outgoing {
  return typeof value === 'object' && value !== null && 'key' in value && 'content' in value && 'conversation' in value;
}
