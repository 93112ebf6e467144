import type { User } from '$/api/client';

/** Faces of people without a picture. */
const HUES = 8;

type Named = Pick<User, 'first_name' | 'last_name' | 'username'>;

/** What people call somebody. */
export function nameOf(user: Named): string {
  return [user.first_name, user.last_name].filter(Boolean).join(' ') || user.username;
}

/** One or two letters that stand for a name. */
export function initialsOf(name: string): string {
  const words = name.split(/[\s._+-]+/).filter(Boolean);
  const picked = words.length > 1 ? [words[0], words.at(-1)] : [words[0]];
  return picked.map((word) => first(word ?? '')).join('').toLocaleUpperCase();
}

/** The first character as people count them. */
function first(word: string): string {
  return [...new Intl.Segmenter().segment(word)][0]?.segment ?? '';
}

/** A number of a hue, the same for one address everywhere. */
export function hueOf(address: string): number {
  let sum = 0;
  for (const character of address.toLowerCase()) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 65_521;
  return sum % HUES;
}
