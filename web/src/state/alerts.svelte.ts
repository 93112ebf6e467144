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

/** Shows a number on the tab: in its title, and as a dot on its icon. */
export function showCount(count: number, name: string): void {
  document.title = count > 0 ? `(${count}) ${name}` : name;
  const link = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
  if (link) link.href = count > 0 ? '/icon-unread.svg' : ICON;
}
