export type Segment = { kind: 'text' | 'mark'; text: string } | { kind: 'link'; text: string; href: string };

const LINK = /https?:\/\/[^\s<>"'`]+/gi;
/** What belongs to the sentence around a link rather than to the link. */
const TRAILING = /[.,;:!?…]+$/;

/** A text in parts: links to the web, and what a search is to mark in the rest. Nothing of it is ever taken as markup. */
export function segments(text: string, wanted: readonly string[] = []): Segment[] {
  const parts: Segment[] = [];
  let end = 0;
  for (const match of text.matchAll(LINK)) {
    const link = trimmed(match[0]);
    const href = safe(link);
    if (!href) continue;
    parts.push(...marked(text.slice(end, match.index), wanted), { kind: 'link', text: link, href });
    end = match.index + link.length;
  }
  return [...parts, ...marked(text.slice(end), wanted)];
}

function trimmed(link: string): string {
  let text = link.replace(TRAILING, '');
  // A closing bracket is part of the link only if it was opened there.
  while (text.endsWith(')') && !text.includes('(')) text = text.slice(0, -1).replace(TRAILING, '');
  return text;
}

function safe(link: string): string | null {
  if (!URL.canParse(link)) return null;
  const url = new URL(link);
  const isWeb = url.protocol === 'https:' || url.protocol === 'http:';
  // A name before the host is there to deceive.
  return isWeb && url.username === '' && url.password === '' ? url.href : null;
}

/** A text in parts, of which some are what a search is to mark. */
export function marked(text: string, wanted: readonly string[]): Segment[] {
  if (text === '') return [];
  const words = wanted.filter((word) => word !== '').map((word) => word.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  if (words.length === 0) return [{ kind: 'text', text }];
  // Every other part of a split by a group is what the group has matched.
  const parts = text.split(new RegExp(`(${words.join('|')})`, 'giu'));
  return parts
    .map((part, index): Segment => ({ kind: index % 2 === 1 ? 'mark' : 'text', text: part }))
    .filter((part) => part.text !== '');
}

const PICTURE = /^\p{Extended_Pictographic}|^\p{Regional_Indicator}/u;
/** So many pictures and nothing else are shown large. */
const FEW = 3;

/** Whether a text is up to three emoji and nothing else. */
export function isEmoji(text: string): boolean {
  const characters = [...new Intl.Segmenter().segment(text.replace(/\s+/g, '').slice(0, 100))].map(({ segment }) => segment);
  return characters.length > 0 && characters.length <= FEW && characters.every((character) => PICTURE.test(character));
}
