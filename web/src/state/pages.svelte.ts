import { Failure } from '$/api/failure';

/** One page of a list, and the URL of the next. */
export interface Listing<T> {
  next: string | null;
  results: T[];
}

/** The cursor of the page after this one; lists are read by it, as their pages do not shift then. */
export function cursorAfter(listing: Listing<unknown>): string | null {
  return listing.next === null ? null : new URL(listing.next, location.origin).searchParams.get('cursor');
}

/** A list that grows by pages, with all that can be said of its loading. */
export class Pages<T extends { id: string }> {
  items = $state.raw<readonly T[]>([]);
  status = $state<'loading' | 'ready' | 'failed'>('loading');
  isLoadingMore = $state(false);
  failure = $state.raw<Failure | null>(null);
  #next = $state<string | null>(null);
  readonly #ask: (cursor: string) => Promise<Listing<T>>;
  #turn = 0;

  /** The first page has the empty cursor. */
  constructor(ask: (cursor: string) => Promise<Listing<T>>) {
    this.#ask = ask;
  }

  get hasMore(): boolean {
    return this.#next !== null;
  }

  /** Reads the first page, in the place of all that is there. */
  async load(): Promise<void> {
    const turn = ++this.#turn;
    this.status = 'loading';
    this.failure = null;
    try {
      const listing = await this.#ask('');
      // What has been asked for meanwhile is what counts.
      if (turn !== this.#turn) return;
      this.items = listing.results;
      this.#next = cursorAfter(listing);
      this.status = 'ready';
    } catch (cause) {
      if (turn !== this.#turn) return;
      this.failure = Failure.of(cause);
      this.status = 'failed';
    }
  }

  /** Reads the first page again; if that cannot be, what is there stays. */
  async refresh(): Promise<void> {
    if (this.status !== 'ready' || this.isLoadingMore) return;
    const turn = ++this.#turn;
    try {
      const listing = await this.#ask('');
      if (turn !== this.#turn) return;
      this.items = listing.results;
      this.#next = cursorAfter(listing);
      this.failure = null;
    } catch (cause) {
      if (turn === this.#turn) this.failure = Failure.of(cause);
    }
  }

  async more(): Promise<void> {
    if (this.isLoadingMore || this.#next === null) return;
    const turn = this.#turn;
    this.isLoadingMore = true;
    this.failure = null;
    try {
      const listing = await this.#ask(this.#next);
      if (turn !== this.#turn) return;
      const known = new Set(this.items.map((item) => item.id));
      this.items = [...this.items, ...listing.results.filter((item) => !known.has(item.id))];
      this.#next = cursorAfter(listing);
    } catch (cause) {
      this.failure = Failure.of(cause);
    } finally {
      this.isLoadingMore = false;
    }
  }

  change(id: string, change: Partial<T>): void {
    this.items = this.items.map((item) => (item.id === id ? { ...item, ...change } : item));
  }

  remove(id: string): void {
    this.items = this.items.filter((item) => item.id !== id);
  }
}
