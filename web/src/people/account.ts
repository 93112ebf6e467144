import type { About } from '$/api/client';
import { t } from '$/strings';

/** What can be told of an account's fields before the app is asked. */

const USERNAME = /^[A-Za-z0-9_.+-]{3,150}$/;
const EMAIL = /^[^\s@]+@[^\s@]+\.[^\s@]+$/;

export function usernameFault(username: string): string | undefined {
  if (username === '') return t.validation.required;
  return USERNAME.test(username) ? undefined : t.validation.username;
}

export function emailFault(email: string): string | undefined {
  if (email === '') return t.validation.required;
  return EMAIL.test(email) ? undefined : t.validation.email;
}

export interface Rule {
  text: string;
  /** Null where only the app can say. */
  isMet: boolean | null;
}

/** What a password needs, and whether this one has it. */
export function passwordRules(password: string, names: readonly string[], limits: About['limits']): Rule[] {
  const length = [...password].length;
  const isName = names.some((name) => name !== '' && name.toLowerCase() === password.toLowerCase());
  return [
    {
      text: t.validation.passwordLength(limits.password_min, limits.password_max),
      isMet: length >= limits.password_min && length <= limits.password_max,
    },
    { text: t.validation.passwordName, isMet: length > 0 && !isName },
    { text: t.validation.passwordCommon, isMet: null },
  ];
}

/** Letters and digits that nobody takes for one another. */
const LETTERS = 'abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789';
const GROUPS = 4;
const GROUP = 5;

/** A password to be handed to somebody: a little over a hundred random bits, in groups that can be read out. */
export function newPassword(limits: About['limits']): string {
  const length = Math.max(GROUPS * GROUP, limits.password_min);
  const letters: string[] = [];
  while (letters.length < length) {
    // What is beyond the last whole multiple would make some letters more likely than others.
    const byte = crypto.getRandomValues(new Uint8Array(1))[0] ?? 255;
    if (byte < 256 - (256 % LETTERS.length)) letters.push(LETTERS[byte % LETTERS.length] ?? '');
  }
  return letters.join('').replace(new RegExp(`.{${GROUP}}(?=.)`, 'g'), '$&-');
}
