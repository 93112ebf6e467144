import { answered, type Api, type Message } from '$/api/client';
import { Failure } from '$/api/failure';

/** Messages that are asked for at once. */
const PAGE = 50;
/** Pages that a jump to an old message reads on its way, at most. */
const LONGEST_JUMP = 40;

/**
 * The messages of one conversation, or the answers to one message of it, that have been read so far, oldest first and
 * without a gap down to the newest. The app owns them: whatever it says of one replaces what was known, and a gap is
 * closed by forgetting what is beyond it.
 */
export class Thread {
  messages = $state.raw<readonly Message[]>([]);
  status = $state<'loading' | 'ready' | 'failed'>('loading');
  failure = $state.raw<Failure | null>(null);
  hasOlder = $state(false);
  isLoadingOlder = $state(false);
  olderFailure = $state.raw<Failure | null>(null);
  /** The first message that was new when the person came, above which a line says so. */
  firstNew = $state<string | null>(null);
  replyingTo = $state.raw<Message | null>(null);
  editing = $state.raw<Message | null>(null);
  /** The message that all of these answer, once it is known. */
  root = $state.raw<Message | null>(null);
  readonly #api: Api;

  constructor(
    api: Api,
    readonly conversation: string,
    /** The message that all of these answer; null for the conversation itself. */
    readonly parent: string | null = null,
  ) {
    this.#api = api;
  }

  /** The name under which what has been typed here is kept. */
  get draft(): string {
    return this.parent === null ? this.conversation : `${this.conversation}/${this.parent}`;
  }

  /** Reads the newest messages, at first or after a gap. */
  async load(): Promise<void> {
    this.failure = null;
    if (this.status === 'failed') this.status = 'loading';
    try {
      if (this.parent !== null) this.root = await this.#message(this.parent);
      const page = await this.#page({});
      const newest = page.results.toReversed();
      const known = new Set(this.messages.map((message) => message.id));
      const meets = newest.some((message) => known.has(message.id));
      if (!meets) this.hasOlder = page.next !== null;
      this.messages = meets ? merged(this.messages, newest) : newest;
      this.status = 'ready';
    } catch (cause) {
      this.failure = Failure.of(cause);
      // What is there can still be read.
      if (this.messages.length === 0) this.status = 'failed';
    }
  }

  /** Reads what was written before; whether there was anything. */
  async loadOlder(): Promise<boolean> {
    const oldest = this.messages[0];
    if (!oldest || !this.hasOlder || this.isLoadingOlder) return false;
    this.isLoadingOlder = true;
    this.olderFailure = null;
    try {
      const page = await this.#page({ end_date: oldest.created_at });
      this.hasOlder = page.next !== null;
      this.messages = merged(page.results.toReversed(), this.messages);
      return true;
    } catch (cause) {
      this.olderFailure = Failure.of(cause);
      return false;
    } finally {
      this.isLoadingOlder = false;
    }
  }

  /** Reads back until a message is there; whether it is. */
  async reach(id: string): Promise<boolean> {
    for (let pages = 0; pages < LONGEST_JUMP; pages++) {
      if (this.messages.some((message) => message.id === id)) return true;
      if (!(await this.loadOlder())) return false;
    }
    return false;
  }

  /** Takes note that a message has been answered once more. */
  answered(id: string): void {
    const more = (message: Message): Message => ({ ...message, reply_count: message.reply_count + 1 });
    if (this.root?.id === id) this.root = more(this.root);
    if (this.find(id)) this.messages = this.messages.map((message) => (message.id === id ? more(message) : message));
  }

  find(id: string): Message | undefined {
    return this.messages.find((message) => message.id === id);
  }

  /** Takes note of a message, new or changed. */
  put(message: Message): void {
    if (this.root?.id === message.id) this.root = message;
    if (this.status !== 'ready' || (this.parent !== null && this.parent !== message.parent)) return;
    const oldest = this.messages[0];
    const isOlder = oldest && this.hasOlder && before(message, oldest);
    if (!isOlder) this.messages = merged(this.messages, [message]);
  }

  #page(range: { end_date?: string }) {
    const whose = this.parent === null ? {} : { parent: this.parent };
    const query = { conversation: this.conversation, page_size: PAGE, cursor: '', ...whose, ...range };
    return answered(this.#api.GET('/api/chats/messages/', { params: { query } }));
  }

  #message(id: string): Promise<Message> {
    return answered(this.#api.GET('/api/chats/messages/{id}/', { params: { path: { id } } }));
  }
}

function before(a: Message, b: Message): boolean {
  return a.created_at === b.created_at ? a.id < b.id : a.created_at < b.created_at;
}

/** Both in their order; of two forms of one message the later list has the better one. */
export function merged(some: readonly Message[], others: readonly Message[]): Message[] {
  const all = new Map(some.map((message) => [message.id, message]));
  for (const message of others) all.set(message.id, message);
  return [...all.values()].sort((a, b) => (before(a, b) ? -1 : 1));
}
