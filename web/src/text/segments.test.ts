import { describe, expect, test } from 'vitest';
import { isEmoji, segments } from './segments';

const links = (text: string) => segments(text).flatMap((part) => (part.kind === 'link' ? [part.href] : []));

describe('links', () => {
  test.each([
    ['see https://example.org/a?b=c#d', ['https://example.org/a?b=c#d']],
    ['(http://example.org).', ['http://example.org/']],
    ['https://example.org/wiki/A_(b), https://example.org!', ['https://example.org/wiki/A_(b)', 'https://example.org/']],
    ['שלום https://example.org/ו', ['https://example.org/%D7%95']],
  ])('%s', (text, found) => expect(links(text)).toEqual(found));

  test.each(['javascript:alert(1)', 'data:text/html,x', 'https://', 'https://example.org@evil.example', 'file:///etc', 'www.example.org'])(
    '%s is none',
    (text) => expect(links(text)).toEqual([]),
  );

  test('nothing of the text is lost', () => {
    const text = 'a https://example.org. <b>b</b> https://u:p@x.y c';
    expect(segments(text, ['b']).map((part) => part.text).join('')).toBe(text);
  });
});

test('what is looked for is marked without regard to case, and means nothing else', () => {
  const marks = (text: string, wanted: string[]) => segments(text, wanted).flatMap((part) => (part.kind === 'mark' ? [part.text] : []));
  expect(marks('Bread and BREAD', ['bread'])).toEqual(['Bread', 'BREAD']);
  expect(marks('1+1 (one)', ['1+1', '('])).toEqual(['1+1', '(']);
  expect(marks('anything', [''])).toEqual([]);
});

test('one to three emoji alone are large', () => {
  for (const text of ['👍', '👩‍👩‍👧‍👦 🇩🇪', '❤️🎉😀']) expect(isEmoji(text)).toBe(true);
  for (const text of ['', 'a', '👍👍👍👍', '👍 ok', '1']) expect(isEmoji(text)).toBe(false);
});
