import type { LucideIcon } from '@lucide/svelte';
import Bell from '@lucide/svelte/icons/bell';
import KeyRound from '@lucide/svelte/icons/key-round';
import MonitorSmartphone from '@lucide/svelte/icons/monitor-smartphone';
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
  { name: 'notifications', label: t.settings.notifications, icon: Bell },
  { name: 'appearance', label: t.settings.appearance, icon: Palette },
];

export const ADMIN_SECTIONS: readonly Section[] = [];
