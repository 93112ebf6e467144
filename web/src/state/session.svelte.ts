import { answered, type Api, createApi, type Profile } from '$/api/client';
import { Failure } from '$/api/failure';
import type { AboutApp } from './about.svelte';
import { newKey } from './key';
import { recall, remember } from './storage';

/** Changes whenever a tab renews the session of all of them. */
const REFRESHED = 'session.refreshed';
/** A 401 of these is about what was sent, not about the session. */
const CREDENTIALS = ['/api/auth/login/', '/api/auth/refresh/', '/api/auth/register/'];

type Status = 'unknown' | 'anonymous' | 'active' | 'expired' | 'unreachable';

/**
 * Who is logged in. The tokens are in cookies that no script can read; this signs requests with the CSRF token, renews
 * the session once when it has run out, and says when it cannot be renewed. What happens in one tab is told to the others.
 */
export class Session {
  status = $state<Status>('unknown');
  user = $state<Profile | null>(null);
  failure = $state<Failure | null>(null);
  readonly api: Api = createApi((request) => this.#fetch(request));
  readonly #about: AboutApp;
  readonly #tabs = 'BroadcastChannel' in globalThis ? new BroadcastChannel('session') : null;
  #renewal: Promise<boolean> | null = null;

  constructor(about: AboutApp) {
    this.#about = about;
    if (this.#tabs) this.#tabs.onmessage = ({ data }: MessageEvent<unknown>) => this.#hear(data);
  }

  /** Finds out whether somebody is logged in. */
  async resume(): Promise<void> {
    this.failure = null;
    if (!this.#csrf()) {
      this.status = 'anonymous';
      return;
    }
    try {
      this.user = await answered(this.api.GET('/api/auth/me/'));
      this.status = 'active';
    } catch (cause) {
      const failure = Failure.of(cause);
      if (failure.status === 401) {
        this.status = 'anonymous';
      } else {
        this.fail(failure);
      }
    }
  }

  /** Takes note that it cannot be found out. */
  fail(failure: Failure | null): void {
    this.failure = failure;
    this.status = 'unreachable';
  }

  /** Logs in by username or e-mail address. */
  async logIn(name: string, password: string): Promise<void> {
    const who = name.includes('@') ? { email: name } : { username: name };
    const body = { ...who, password, session: 'cookie' as const };
    const welcome = await answered(this.api.POST('/api/auth/login/', { body }));
    this.#enter(welcome.user);
    this.#tabs?.postMessage('in');
  }

  /** Makes an account and logs in. */
  async register(account: { email: string; username: string; password: string; first_name: string }): Promise<void> {
    await answered(this.api.POST('/api/auth/register/', { body: account }));
    await this.logIn(account.username, account.password);
  }

  /** Ends the session, here and on the server. Throws if the server cannot be told. */
  async logOut(): Promise<void> {
    try {
      await answered(this.api.POST('/api/auth/logout/', { body: {} }));
    } catch (cause) {
      const failure = Failure.of(cause);
      if (failure.status !== 401) throw failure;
    }
    this.leave();
    this.#tabs?.postMessage('out');
  }

  /** Takes note that the session is over because its owner wanted it so. */
  leave(): void {
    this.user = null;
    this.status = 'anonymous';
  }

  /** Takes note that the session has come to its end by itself. */
  expire(): void {
    if (this.status === 'active') this.status = 'expired';
  }

  /** Shows a profile that has changed. */
  update(profile: Profile): void {
    this.user = profile;
  }

  /**
   * Renews the tokens, of which `known` is the sign that they had; false if that cannot be. Tabs take turns, and one that
   * finds that another has done it does nothing: so none of them spends a token that another holds.
   */
  async #renew(known: string | null): Promise<boolean> {
    this.#renewal ??= this.#renewInTurn(known).finally(() => (this.#renewal = null));
    return this.#renewal;
  }

  async #renewInTurn(known: string | null): Promise<boolean> {
    const turn = async (): Promise<boolean> => {
      if (recall(REFRESHED) !== known) return true;
      const response = await fetch(this.#signed(new Request('/api/auth/refresh/', { method: 'POST' })));
      if (response.ok) remember(REFRESHED, newKey());
      if (!response.ok && response.status !== 401 && response.status !== 403) {
        throw Failure.answered(response, await response.json().catch(() => null));
      }
      return response.ok;
    };
    return 'locks' in navigator ? navigator.locks.request('session.refresh', turn) : turn();
  }

  /** Sends a request in the name of whoever is logged in. */
  async #fetch(request: Request): Promise<Response> {
    const again = request.clone();
    const known = recall(REFRESHED);
    const response = await fetch(this.#signed(request));
    const path = new URL(request.url).pathname;
    if (response.status === 401 && !CREDENTIALS.includes(path)) {
      if (await this.#renew(known)) return fetch(this.#signed(again));
      this.expire();
    } else if (response.status === 403 && (await isCsrf(response))) {
      await fetch('/api/auth/csrf/');
      return fetch(this.#signed(again));
    }
    return response;
  }

  #signed(request: Request): Request {
    const token = this.#csrf();
    if (token && request.method !== 'GET' && request.method !== 'HEAD') request.headers.set('X-CSRFToken', token);
    return request;
  }

  #csrf(): string | null {
    const pairs = document.cookie.split('; ').map((pair) => pair.split('='));
    return pairs.find(([name]) => name === this.#about.csrfCookie)?.[1] ?? null;
  }

  #enter(user: Profile): void {
    this.user = user;
    this.status = 'active';
    remember(REFRESHED, newKey());
  }

  #hear(word: unknown): void {
    if (word === 'out' && this.status === 'active') this.leave();
    if (word === 'in' && this.status !== 'active') void this.resume();
  }
}

async function isCsrf(response: Response): Promise<boolean> {
  const problem: unknown = await response.clone().json().catch(() => null);
  return typeof problem === 'object' && problem !== null && 'code' in problem && problem.code === 'csrf_failed';
}
