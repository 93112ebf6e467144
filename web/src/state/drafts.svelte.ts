import { SvelteMap } from 'svelte/reactivity';
import { recallJson, remember } from './storage';

/** What has been typed and not been sent, for each conversation; it outlives the page and the session. */
export class Drafts {
  #texts: SvelteMap<string, string>;
  readonly #key: string;

  constructor(user: string) {
    this.#key = `drafts.${user}`;
    this.#texts = new SvelteMap(Object.entries(recallJson(this.#key, isTexts) ?? {}));
  }

  of(conversation: string): string {
    return this.#texts.get(conversation) ?? '';
  }

  keep(conversation: string, text: string): void {
    if (text.trim() === '') this.#texts.delete(conversation);
    else this.#texts.set(conversation, text);
    remember(this.#key, JSON.stringify(Object.fromEntries(this.#texts)));
  }
}

function isTexts(value: unknown): value is Record<string, string> {
  return typeof value === 'object' && value !== null && Object.values(value).every((text) => typeof text === 'string');
}
