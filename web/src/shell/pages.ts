/** What is loaded when it is first wanted, and, so that it is there at once and without a connection, when there is time. */
export const lazy = {
  admin: () => import('$/pages/admin/Admin.svelte'),
  details: () => import('$/people/Details.svelte'),
  inbox: () => import('$/pages/Inbox.svelte'),
  jump: () => import('./Jump.svelte'),
  newConversation: () => import('$/people/NewConversation.svelte'),
  receipts: () => import('$/thread/Receipts.svelte'),
  replies: () => import('$/thread/Replies.svelte'),
  search: () => import('$/pages/Search.svelte'),
  settings: () => import('$/pages/settings/Settings.svelte'),
};

/** Milliseconds after which whoever has come in has seen their conversations. */
const SOON = 3_000;

/** Loads the rest in a quiet moment; what cannot be had is asked for again when it is wanted. Gives what calls that off. */
export function prepare(isAdmin: boolean): () => void {
  const timer = setTimeout(() => {
    for (const [name, load] of Object.entries(lazy)) if (name !== 'admin' || isAdmin) void load().catch(() => undefined);
  }, SOON);
  return () => clearTimeout(timer);
}
