import { answered, type Api, type User } from '$/api/client';
import { Failure } from '$/api/failure';

/** Milliseconds without a key before the app is asked. */
const PAUSE = 200;
/** People who are shown at once. */
const SHOWN = 20;

interface Answer {
  found: User[];
  unavailable: string[];
}

/** Finds people of this app and its peers while somebody types. */
export class Finder {
  text = $state('');
  found = $state.raw<readonly User[]>([]);
  /** The apps that could not be asked. */
  unavailable = $state.raw<readonly string[]>([]);
  status = $state<'idle' | 'looking' | 'ready' | 'failed'>('idle');
  failure = $state.raw<Failure | null>(null);
  readonly #api: Api;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #turn = 0;

  constructor(api: Api) {
    this.#api = api;
  }

  /** Looks for a text, once the typing pauses. */
  look(text: string): void {
    this.text = text;
    clearTimeout(this.#timer);
    this.#turn += 1;
    if (text.trim() === '') {
      this.found = [];
      this.unavailable = [];
      this.status = 'idle';
      return;
    }
    this.status = 'looking';
    this.#timer = setTimeout(() => void this.#ask(text.trim(), this.#turn), PAUSE);
  }

  async #ask(text: string, turn: number): Promise<void> {
    const answer = await (text.includes('@') ? this.#byAddress(text) : this.#byName(text)).catch(Failure.of);
    // What has been typed meanwhile is what counts.
    if (turn !== this.#turn) return;
    this.failure = answer instanceof Failure ? answer : null;
    this.status = this.failure ? 'failed' : 'ready';
    if (answer instanceof Failure) return;
    this.found = answer.found;
    this.unavailable = answer.unavailable;
  }

  async #byName(search: string): Promise<Answer> {
    const query = { search, page_size: SHOWN };
    const page = await answered(this.#api.GET('/api/users/', { params: { query } }));
    return { found: page.results, unavailable: page.unavailable };
  }

  async #byAddress(username: string): Promise<Answer> {
    try {
      const params = { query: { username } };
      return { found: [await answered(this.#api.GET('/api/users/get_by_username/', { params }))], unavailable: [] };
    } catch (cause) {
      const failure = Failure.of(cause);
      if (failure.code === 'peer_unavailable') return { found: [], unavailable: [username.split('@')[1] ?? username] };
      // Half an address is nobody's yet.
      if (failure.status === 404 || failure.status === 400) return { found: [], unavailable: [] };
      throw failure;
    }
  }
}
