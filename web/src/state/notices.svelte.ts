import { Failure } from '$/api/failure';

export interface Notice {
  id: number;
  kind: 'success' | 'failure';
  text: string;
  requestId: string | null;
}

/** Milliseconds for which a success is shown; a failure stays until it is dismissed. */
const SHOWN = 5_000;

/** What has just worked or failed, where no field or list says so itself. */
export class Notices {
  all = $state.raw<readonly Notice[]>([]);
  #next = 1;

  succeeded(text: string): void {
    const id = this.#add('success', text, null);
    setTimeout(() => this.dismiss(id), SHOWN);
  }

  failed(cause: unknown): void {
    const failure = Failure.of(cause);
    this.#add('failure', failure.message, failure.requestId);
  }

  /** Says that something has not worked here in the page. */
  warn(text: string): void {
    this.#add('failure', text, null);
  }

  dismiss(id: number): void {
    this.all = this.all.filter((notice) => notice.id !== id);
  }

  #add(kind: Notice['kind'], text: string, requestId: string | null): number {
    const id = this.#next++;
    // The same failure twice is one.
    const others = this.all.filter((notice) => notice.text !== text).slice(-2);
    this.all = [...others, { id, kind, text, requestId }];
    return id;
  }
}
