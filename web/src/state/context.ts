import { createContext } from 'svelte';
import type { AboutApp } from './about.svelte';
import type { Notices } from './notices.svelte';
import type { Router } from './router.svelte';
import type { Session } from './session.svelte';
import type { Theme } from './theme.svelte';
import type { Workspace } from './workspace.svelte';

/** What every page has. */
export interface Shell {
  about: AboutApp;
  notices: Notices;
  router: Router;
  session: Session;
  theme: Theme;
}

export const [useShell, provideShell] = createContext<Shell>();
/** What there is only while somebody is logged in. */
export const [useWorkspace, provideWorkspace] = createContext<Workspace>();
