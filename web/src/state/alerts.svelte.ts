import type { Message } from '$/api/client';
import { t } from '$/strings';
import { nameOf } from '$/people/person';
import type { Chats } from './chats.svelte';
import { recall, remember } from './storage';

const KEPT = 'notifications';
const ICON = '/icon.svg';
/** Milliseconds for which what is announced stands there to be read out. */
const SPOKEN = 4_000;

/** How a person who is looking elsewhere, or not looking at all, hears of a new message. */
export class Alerts {
  /** What screen readers are to say. */
  spoken = $state('');
  /** Whether the person wants notifications, and the browser shows them. */
  areOn = $state(recall(KEPT) === 'on' && 'Notification' in globalThis && Notification.permission === 'granted');
  readonly #chats: Chats;
  readonly #open: (conversation: string) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(chats: Chats, open: (conversation: string) => void) {
    this.#chats = chats;
    this.#open = open;
  }

  /** Whether the browser can show notifications at all. */
  get arePossible(): boolean {
    return 'Notification' in globalThis;
  }

  /** Turns notifications on, if the person lets the browser show them, or off. */
  async turn(on: boolean): Promise<boolean> {
    this.areOn = on && (await Notification.requestPermission()) === 'granted';
    remember(KEPT, this.areOn ? 'on' : 'off');
    return this.areOn === on;
  }

  /** Tells of a new message, unless it is before the person's eyes. */
  tell(message: Message): void {
    const sender = nameOf(message.sender);
    this.speak(t.live.newMessageFrom(sender));
    const isSeen = this.#chats.watched === message.conversation && document.hasFocus();
    if (isSeen || !this.areOn) return;
    const body = message.content ?? t.message.unreadable;
    const notification = new Notification(sender, { body, icon: ICON, tag: message.conversation });
    notification.onclick = () => {
      window.focus();
      this.#open(message.conversation);
      notification.close();
    };
  }

  speak(text: string): void {
    this.spoken = text;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => (this.spoken = ''), SPOKEN);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

/** Shows on the tab which app it is, by name and colour, and how much is unread in it, by a number and a dot. */
export function showCount(count: number, name: string): void {
  document.title = count > 0 ? `(${count}) ${name}` : name;
  const link = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
  if (link) link.href = icon(getComputedStyle(document.documentElement).getPropertyValue('--accent').trim(), count > 0);
}

function icon(colour: string, hasNews: boolean): string {
  const dot = hasNews ? '<circle cx="50" cy="14" r="14" fill="#e5484d"/>' : '';
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><rect width="64" height="64" rx="15" fill="${colour}"/><path fill="#fff" d="M20 15h24a9 9 0 0 1 9 9v14a9 9 0 0 1-9 9H32L20.5 56.5A1.5 1.5 0 0 1 18 55.300V47a9 9 0 0 1-7-9V24a9 9 0 0 1 9-9z"/>${dot}</svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}
