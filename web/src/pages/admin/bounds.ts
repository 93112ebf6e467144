import type { Schemas } from '$/api/client';
import { t } from '$/strings';

/** What is wrong with the value of a setting, as far as its bounds tell. */
export function settingFault({ min, max }: Pick<Schemas['SettingView'], 'min' | 'max'>, value: number): string | undefined {
  if (Number.isNaN(value)) return t.validation.required;
  if (!Number.isInteger(value)) return t.admin.whole;
  if ((min != null && value < min) || (max != null && value > max)) {
    return t.admin.within((min ?? value).toLocaleString(), (max ?? value).toLocaleString());
  }
  return undefined;
}
