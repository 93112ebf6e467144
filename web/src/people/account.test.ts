import { expect, test } from 'vitest';
import { newPassword, passwordRules } from './account';

const limits = { message_length: 1, title_length: 1, participants: 1, password_min: 8, password_max: 128 };

test('a password to hand over meets the rules, can be read out, and is never the same', () => {
  const made = Array.from({ length: 50 }, () => newPassword(limits));
  expect(new Set(made).size).toBe(50);
  for (const password of made) {
    expect(password).toMatch(/^(\w{5}-){3}\w{5}$/);
    expect(password).not.toMatch(/[lI1O0o]/);
    expect(passwordRules(password, ['ada'], limits).some((rule) => rule.isMet === false)).toBe(false);
  }
  expect(newPassword({ ...limits, password_min: 40 }).length).toBeGreaterThanOrEqual(40);
});

test('a password is not a name', () => {
  expect(passwordRules('Ada@Example.org', ['', 'ada@example.org'], limits).map((rule) => rule.isMet)).toEqual([true, false, null]);
});
