import type { Session } from './session.svelte';

/** What the app says over the socket. */
export interface LiveEvent {
  cursor?: string;
  type: string;
  data?: unknown;
}

export type Frame =
  | { type: 'typing'; conversation: string; active: boolean }
  | { type: 'read'; conversation: string; message: string }
  | { type: 'ping' };

interface Listener {
  /** Something has happened. */
  hear: (event: LiveEvent) => void;
  /** Things may have happened that nobody will tell of. */
  resync: () => void;
  /** There is a connection again. */
  back: () => void;
}

/** Milliseconds between signs of life. */
const HEARTBEAT = 25_000;
/** Milliseconds that an answer to one may take. */
const PATIENCE = 6_000;
const FIRST_WAIT = 500;
const LONGEST_WAIT = 20_000;
/** After so many failures the lists are read anew now and then: something on the way lets no sockets through. */
const FAILURES = 3;
/** The session has ended. */
const SESSION_ENDED = 4401;

/**
 * The socket on which the app tells what happens. It is a hint and no more: after a gap it goes on from the last cursor,
 * and where that is not known any more, or there cannot be a socket, everything is read anew.
 */
export class Live {
  state = $state<'connecting' | 'live' | 'offline'>('connecting');
  readonly #session: Session;
  readonly #listener: Listener;
  #socket: WebSocket | null = null;
  #cursor: string | null = null;
  #failures = 0;
  #stopped = false;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #heartbeat: ReturnType<typeof setInterval> | undefined;
  #doubt: ReturnType<typeof setTimeout> | undefined;
  readonly #wake = (): void => this.#prove();
  readonly #lost = (): void => this.#drop();

  constructor(session: Session, listener: Listener) {
    this.#session = session;
    this.#listener = listener;
  }

  start(): void {
    addEventListener('online', this.#wake);
    addEventListener('offline', this.#lost);
    document.addEventListener('visibilitychange', this.#wake);
    this.#heartbeat = setInterval(this.#wake, HEARTBEAT);
    this.#connect();
  }

  stop(): void {
    this.#stopped = true;
    removeEventListener('online', this.#wake);
    removeEventListener('offline', this.#lost);
    document.removeEventListener('visibilitychange', this.#wake);
    clearInterval(this.#heartbeat);
    clearTimeout(this.#retry);
    clearTimeout(this.#doubt);
    this.#socket?.close();
  }

  /** Says something, if there is anybody to say it to. */
  say(frame: Frame): boolean {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  #connect(): void {
    clearTimeout(this.#retry);
    if (this.#stopped || this.#socket) return;
    const url = new URL('/api/ws/', location.href);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    if (this.#cursor) url.searchParams.set('since', this.#cursor);
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.onopen = () => this.#opened();
    socket.onmessage = ({ data }: MessageEvent<unknown>) => this.#heard(data);
    socket.onclose = ({ code }) => {
      if (this.#socket === socket) void this.#closed(code);
    };
  }

  #opened(): void {
    this.#failures = 0;
    this.state = 'live';
    if (!this.#cursor) this.#listener.resync();
    this.#listener.back();
  }

  #heard(text: unknown): void {
    clearTimeout(this.#doubt);
    this.#doubt = undefined;
    if (typeof text !== 'string') return;
    const event: unknown = JSON.parse(text);
    if (!isEvent(event)) return;
    if (event.cursor) this.#cursor = event.cursor;
    if (event.type === 'resync') this.#listener.resync();
    else this.#listener.hear(event);
  }

  async #closed(code: number): Promise<void> {
    this.#socket = null;
    clearTimeout(this.#doubt);
    this.#doubt = undefined;
    if (this.#stopped) return;
    this.#failures += 1;
    this.state = navigator.onLine && this.#failures < FAILURES ? 'connecting' : 'offline';
    const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** (this.#failures - 1));
    this.#retry = setTimeout(() => this.#connect(), wait * (0.5 + Math.random() / 2));
    // A refused upgrade looks like any other failure here, so the session is proved where it can be seen.
    if (code === SESSION_ENDED || this.#failures === 2) await this.#prolong();
    if (this.#failures >= FAILURES && navigator.onLine) this.#listener.resync();
  }

  async #prolong(): Promise<void> {
    try {
      await this.#session.api.GET('/api/auth/me/');
    } catch {
      // The app is away; the next try will tell.
    }
  }

  /** Asks for a sign of life, or tries again at once. */
  #prove(): void {
    if (document.visibilityState === 'hidden' && this.#socket) return;
    if (!this.say({ type: 'ping' })) {
      if (navigator.onLine) this.#connect();
      return;
    }
    this.#doubt ??= setTimeout(() => this.#drop(), PATIENCE);
  }

  #drop(): void {
    const socket = this.#socket;
    socket?.close();
    if (socket) void this.#closed(0);
  }
}

function isEvent(value: unknown): value is LiveEvent {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}
