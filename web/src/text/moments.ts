import { locale, t } from '$/strings';

const DAY = 24 * 60 * 60 * 1000;

const time = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit' });
const weekday = new Intl.DateTimeFormat(locale, { weekday: 'short' });
const dayOfYear = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short' });
const longDay = new Intl.DateTimeFormat(locale, { weekday: 'long', day: 'numeric', month: 'long' });
const date = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short', year: 'numeric' });
const full = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' });

/** Midnights between two moments, where the person is. */
function daysBetween(moment: Date, now: Date): number {
  const midnight = (of: Date): number => new Date(of.getFullYear(), of.getMonth(), of.getDate()).getTime();
  return Math.round((midnight(now) - midnight(moment)) / DAY);
}

/** The time of day. */
export function clock(moment: string): string {
  return time.format(new Date(moment));
}

/** As short as can be told apart: a time today, a weekday this week, a date before. */
export function brief(moment: string, now = new Date()): string {
  const then = new Date(moment);
  const days = daysBetween(then, now);
  if (days <= 0) return time.format(then);
  if (days === 1) return t.moments.yesterday;
  if (days < 7) return weekday.format(then);
  return then.getFullYear() === now.getFullYear() ? dayOfYear.format(then) : date.format(then);
}

/** A day as a heading. */
export function dayName(moment: string, now = new Date()): string {
  const then = new Date(moment);
  const days = daysBetween(then, now);
  if (days <= 0) return t.moments.today;
  if (days === 1) return t.moments.yesterday;
  return then.getFullYear() === now.getFullYear() ? longDay.format(then) : date.format(then);
}

/** Date and time. */
export function precise(moment: string): string {
  return full.format(new Date(moment));
}

/** Whether two moments are of one day, where the person is. */
export function isSameDay(one: string, other: string): boolean {
  return new Date(one).toDateString() === new Date(other).toDateString();
}
