import { answered, type Api, type User } from '$/api/client';
import { Failure } from '$/api/failure';

/** Milliseconds without a key before the app is asked. */
const PAUSE = 200;

/** Finds people of this app and its peers while somebody types. */
export class Finder {
  text = $state('');
  found = $state.raw<readonly User[]>([]);
  /** The apps that could not be asked. */
  unavailable = $state.raw<readonly string[]>([]);
  status = $state<'idle' | 'looking' | 'ready' | 'failed'>('idle');
  failure = $state.raw<Failure | null>(null);
  readonly #api: Api;
  readonly #apps: () => readonly string[];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #turn = 0;

  constructor(api: Api, apps: () => readonly string[]) {
    this.#api = api;
    this.#apps = apps;
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
    const names = text.includes('@') ? [text] : this.#apps().map((app) => `${text}@${app}`);
    const answers = await Promise.all(names.map((name) => this.#one(name)));
    // What has been typed meanwhile is what counts.
    if (turn !== this.#turn) return;
    this.found = answers.flatMap((answer) => (answer.user ? [answer.user] : []));
    this.unavailable = answers.flatMap((answer) => (answer.away ? [answer.away] : []));
    this.failure = answers.find((answer) => answer.failure)?.failure ?? null;
    this.status = this.failure ? 'failed' : 'ready';
  }

  async #one(name: string): Promise<{ user?: User; away?: string; failure?: Failure }> {
    const params = { query: { username: name } };
    try {
      return { user: await answered(this.#api.GET('/api/users/get_by_username/', { params })) };
    } catch (cause) {
      const failure = Failure.of(cause);
      if (failure.status === 404 || failure.status === 400) return {};
      if (failure.code === 'peer_unavailable') return { away: name.split('@')[1] ?? name };
      return { failure };
    }
  }
}
