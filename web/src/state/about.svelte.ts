import type { About } from '$/api/client';
import { Failure } from '$/api/failure';
import { recallJson, remember } from './storage';

const KEPT = 'about';
const LIMITS: About['limits'] = {
  message_length: 20_000,
  title_length: 200,
  participants: 500,
  password_min: 8,
  password_max: 128,
};

/** Which app this is. What it said last time is shown until it says it again, so that its colour is there at once. */
export class AboutApp {
  #about = $state.raw<About | null>(recallJson(KEPT, isAbout));
  failure = $state.raw<Failure | null>(null);

  constructor() {
    this.#paint();
  }

  get isKnown(): boolean {
    return this.#about !== null;
  }

  get name(): string {
    return this.#about?.name ?? '';
  }

  get displayName(): string {
    return this.#about?.display_name ?? '';
  }

  get peers(): readonly string[] {
    return this.#about?.peers ?? [];
  }

  get csrfCookie(): string {
    return this.#about?.csrf_cookie ?? 'csrftoken';
  }

  get limits(): About['limits'] {
    return this.#about?.limits ?? LIMITS;
  }

  /** Whether people may make accounts for themselves. */
  get isOpen(): boolean {
    return this.#about?.registration_open ?? true;
  }

  async load(): Promise<void> {
    this.failure = null;
    try {
      const response = await fetch('/api/about/');
      const body: unknown = await response.json();
      if (!response.ok || !isAbout(body)) throw Failure.answered(response, body);
      this.#about = body;
      remember(KEPT, JSON.stringify(body));
      this.#paint();
    } catch (cause) {
      this.failure = Failure.of(cause);
    }
  }

  #paint(): void {
    if (this.#about) document.documentElement.dataset['accent'] = this.#about.accent;
  }
}

function isAbout(value: unknown): value is About {
  return typeof value === 'object' && value !== null && 'csrf_cookie' in value && 'limits' in value;
}
