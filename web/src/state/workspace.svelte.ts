import type { Message } from '$/api/client';
import { Alerts } from './alerts.svelte';
import { Chats } from './chats.svelte';
import { Drafts } from './drafts.svelte';
import { isMessage, isConversation, isPresence, isTyping } from './events';
import { Live, type LiveEvent } from './live.svelte';
import { Outbox } from './outbox.svelte';
import type { Session } from './session.svelte';

/** Everything that belongs to the person who is logged in; it ends with their session. */
export class Workspace {
  readonly chats: Chats;
  readonly drafts: Drafts;
  readonly outbox: Outbox;
  readonly live: Live;
  readonly alerts: Alerts;

  constructor(session: Session, me: string, open: (conversation: string) => void) {
    this.chats = new Chats(session.api, me);
    this.drafts = new Drafts(me);
    this.outbox = new Outbox(session.api, me, (message) => this.#take(message, true));
    this.alerts = new Alerts(this.chats, open);
    this.live = new Live(session, {
      hear: (event) => this.#hear(event),
      resync: () => void this.chats.resync(),
      back: () => {
        // The app says anew who is there.
        this.chats.online.clear();
        this.outbox.flush();
      },
    });
  }

  start(): void {
    void this.chats.load();
    this.live.start();
    this.outbox.flush();
  }

  stop(): void {
    this.live.stop();
    this.outbox.stop();
    this.alerts.stop();
  }

  #hear({ type, data }: LiveEvent): void {
    if (type.startsWith('message.') && isMessage(data)) this.#take(data, type === 'message.created');
    else if (type.startsWith('conversation.') && isConversation(data)) this.chats.set(data);
    else if (type === 'typing' && isTyping(data)) this.chats.setTyping(data.conversation, data.user, data.active);
    else if (type === 'presence' && isPresence(data)) {
      for (const user of data.online) this.chats.online.add(user);
      for (const user of data.offline) this.chats.online.delete(user);
    }
  }

  #take(message: Message, isNew: boolean): void {
    const isNews = this.chats.take(message, isNew);
    if (isNews) this.alerts.tell(message);
  }
}
