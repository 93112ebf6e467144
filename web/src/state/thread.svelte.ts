import { answered, type Api, type Message } from '$/api/client';
import { Failure } from '$/api/failure';

/** Messages that are asked for at once. */
const PAGE = 50;
/** Pages that a jump to an old message reads on its way, at most. */
const LONGEST_JUMP = 40;

/**
 * The messages of one conversation that have been read so far, oldest first and without a gap down to the newest. The app
 * owns them: whatever it says of one replaces what was known, and a gap is closed by forgetting what is beyond it.
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
  readonly #api: Api;

  constructor(
    api: Api,
    readonly conversation: string,
  ) {
    this.#api = api;
  }

  /** Reads the newest messages, at first or after a gap. */
  async load(): Promise<void> {
    this.failure = null;
    if (this.status === 'failed') this.status = 'loading';
    try {
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

  find(id: string): Message | undefined {
    return this.messages.find((message) => message.id === id);
  }

  /** Takes note of a message, new or changed. */
  put(message: Message): void {
    if (this.status !== 'ready') return;
    const oldest = this.messages[0];
    const isOlder = oldest && this.hasOlder && before(message, oldest);
    if (!isOlder) this.messages = merged(this.messages, [message]);
  }

  #page(range: { end_date?: string }) {
    const query = { conversation: this.conversation, page_size: PAGE, cursor: '', ...range };
    return answered(this.#api.GET('/api/chats/messages/', { params: { query } }));
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
