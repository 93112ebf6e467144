import type { LucideIcon } from '@lucide/svelte';
import ArrowLeftRight from '@lucide/svelte/icons/arrow-left-right';
import Bell from '@lucide/svelte/icons/bell';
import KeyRound from '@lucide/svelte/icons/key-round';
import MonitorSmartphone from '@lucide/svelte/icons/monitor-smartphone';
import Eye from '@lucide/svelte/icons/eye';
import ScrollText from '@lucide/svelte/icons/scroll-text';
import SlidersHorizontal from '@lucide/svelte/icons/sliders-horizontal';
import Users from '@lucide/svelte/icons/users';
import Palette from '@lucide/svelte/icons/palette';
import User from '@lucide/svelte/icons/user';
import { t } from '$/strings';

export interface Section {
  /** The last part of its path. */
  name: string;
  label: string;
  icon: LucideIcon;
}

export const SETTINGS_SECTIONS: readonly Section[] = [
  { name: 'profile', label: t.settings.profile, icon: User },
  { name: 'password', label: t.settings.password, icon: KeyRound },
  { name: 'sessions', label: t.settings.sessions, icon: MonitorSmartphone },
  { name: 'privacy', label: t.settings.privacy, icon: Eye },
  { name: 'notifications', label: t.settings.notifications, icon: Bell },
  { name: 'appearance', label: t.settings.appearance, icon: Palette },
];

export const ADMIN_SECTIONS: readonly Section[] = [
  { name: 'users', label: t.admin.users, icon: Users },
  { name: 'settings', label: t.admin.settings, icon: SlidersHorizontal },
  { name: 'outbox', label: t.outbox.section, icon: ArrowLeftRight },
  { name: 'audit', label: t.admin.audit, icon: ScrollText },
];
