import { expect, test } from 'vitest';
import { settingFault } from './bounds';

test('a setting is a whole number within its bounds, which are allowed themselves', () => {
  const bounds = { min: 1, max: 100 };
  for (const value of [1, 50, 100]) expect(settingFault(bounds, value)).toBeUndefined();
  for (const value of [0, 101]) expect(settingFault(bounds, value)).toContain('100');
  expect(settingFault(bounds, Number.NaN)).toBeTruthy();
  expect(settingFault(bounds, 1.5)).toBeTruthy();
  expect(settingFault({ min: null, max: null }, -5)).toBeUndefined();
});
