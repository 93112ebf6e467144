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
