import { Failure } from '$/api/failure';

/** One page as the app gives it. */
export interface Listing<T> {
  count: number;
  results: T[];
}

/** A list that grows by pages, with all that can be said of its loading. */
export class Pages<T extends { id: string }> {
  items = $state.raw<readonly T[]>([]);
  count = $state(0);
  status = $state<'loading' | 'ready' | 'failed'>('loading');
  isLoadingMore = $state(false);
  failure = $state.raw<Failure | null>(null);
  readonly #ask: (page: number) => Promise<Listing<T>>;
  #page = 1;
  #turn = 0;

  constructor(ask: (page: number) => Promise<Listing<T>>) {
    this.#ask = ask;
  }

  get hasMore(): boolean {
    return this.items.length < this.count;
  }

  /** Reads the first page, in the place of all that is there. */
  async load(): Promise<void> {
    const turn = ++this.#turn;
    this.status = 'loading';
    this.failure = null;
    try {
      const listing = await this.#ask(1);
      if (turn !== this.#turn) return;
      this.#page = 1;
      this.items = listing.results;
      this.count = listing.count;
      this.status = 'ready';
    } catch (cause) {
      if (turn !== this.#turn) return;
      this.failure = Failure.of(cause);
      this.status = 'failed';
    }
  }

  async more(): Promise<void> {
    if (this.isLoadingMore || !this.hasMore) return;
    const turn = this.#turn;
    this.isLoadingMore = true;
    this.failure = null;
    try {
      const listing = await this.#ask(this.#page + 1);
      if (turn !== this.#turn) return;
      this.#page += 1;
      const known = new Set(this.items.map((item) => item.id));
      const added = listing.results.filter((item) => !known.has(item.id));
      this.items = [...this.items, ...added];
      this.count = added.length === 0 ? this.items.length : listing.count;
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
    this.count -= 1;
  }
}
