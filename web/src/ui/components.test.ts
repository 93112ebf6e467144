import { render, screen } from '@testing-library/svelte';
import { expect, test, vi } from 'vitest';
import { message, person } from '$/test-people';
import { t } from '$/strings';
import RichText from '$/text/RichText.svelte';
import MessageBody from '$/thread/MessageBody.svelte';
import Ticks from '$/thread/Ticks.svelte';
import { Thread } from '$/state/thread.svelte';
import { createApi } from '$/api/client';
import Confirm from './Confirm.svelte';
import Field from './Field.svelte';
import Switch from './Switch.svelte';

const bob = person('bob', 'app-b');
const thread = () => new Thread(createApi(() => Promise.reject(new TypeError())), 'c');

test('what people write is text, whatever it looks like', () => {
  const text = '<img src=x onerror=alert(1)> <b>bold</b> javascript:alert(1)';
  const { container } = render(RichText, { text });
  expect(container.textContent).toBe(text);
  expect(container.querySelector('img, b, a')).toBeNull();
});

test('lines, spaces and direction are as they were written', () => {
  const { container } = render(RichText, { text: 'a\n  b' });
  expect(container.querySelector('p')?.getAttribute('dir')).toBe('auto');
  expect(container.textContent).toBe('a\n  b');
});

test('each state of a message is said in words', () => {
  for (const status of ['sending', 'waiting', 'queued', 'relayed', 'delivered', 'read'] as const) {
    const { unmount } = render(Ticks, { status });
    expect(screen.getByText(t.status[status])).toBeTruthy();
    unmount();
  }
  render(Ticks, { status: 'failed', reason: 'expired' });
  expect(screen.getByText(/could not be reached for too long/)).toBeTruthy();
});

test('a message that cannot be opened says why, and which key it wants', () => {
  const sealed = message(bob, '', { content: null, content_error: { code: 'unknown_key', key: '1a2b3c4d' } });
  render(MessageBody, { message: sealed, thread: thread(), onshow: vi.fn() });
  expect(screen.getByText(/lacks its key/).textContent).toContain('1a2b3c4d');
});

test('a deleted message is said to be deleted', () => {
  render(MessageBody, { message: message(bob, '', { content: null, deleted_at: '2026-01-31T12:00:00Z' }), thread: thread(), onshow: vi.fn() });
  expect(screen.getByText(t.message.deleted)).toBeTruthy();
});

test('a field is tied to what is wrong with it', () => {
  render(Field, { label: 'Name', value: '', hint: 'As others see it', error: 'This field is needed.' });
  const input = screen.getByLabelText('Name');
  const described = input.getAttribute('aria-describedby')?.split(' ').map((id) => document.getElementById(id)?.textContent);
  expect(described).toEqual(['As others see it', 'This field is needed.']);
  expect(input.getAttribute('aria-invalid')).toBe('true');
});

test('a switch says what it is for and whether it is on', () => {
  const onchange = vi.fn();
  render(Switch, { label: 'Read receipts', about: 'About', isOn: true, onchange });
  const found = screen.getByRole('switch', { name: 'Read receipts', checked: true });
  found.click();
  expect(onchange).toHaveBeenCalledWith(false);
});

test('a question is asked before what cannot be taken back', () => {
  const onconfirm = vi.fn();
  render(Confirm, { title: 'Delete?', about: 'For everybody.', action: 'Delete', onconfirm, onclose: vi.fn() });
  expect(screen.getByRole('dialog', { name: 'Delete?' })).toBeTruthy();
  screen.getByRole('button', { name: 'Delete' }).click();
  expect(onconfirm).toHaveBeenCalledOnce();
});
