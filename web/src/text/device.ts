import { t } from '$/strings';

/* In this order: each browser also names those that it wants to be taken for. */
const BROWSERS: readonly [RegExp, string][] = [
  [/Edg\//, 'Edge'],
  [/OPR\//, 'Opera'],
  [/Firefox\//, 'Firefox'],
  [/Chrome\//, 'Chrome'],
  [/Safari\//, 'Safari'],
];
const SYSTEMS: readonly [RegExp, string][] = [
  [/Android/, 'Android'],
  [/iPhone|iPad/, 'iOS'],
  [/Windows/, 'Windows'],
  [/Mac OS X/, 'macOS'],
  [/Linux/, 'Linux'],
];

/** What people call a device, as far as its user agent tells. */
export function deviceName(userAgent: string | null | undefined): string {
  if (!userAgent) return t.settings.unknownDevice;
  const known = (list: readonly [RegExp, string][]): string | undefined => list.find(([sign]) => sign.test(userAgent))?.[1];
  const names = [known(BROWSERS), known(SYSTEMS)].filter(Boolean);
  return names.length > 0 ? names.join(' · ') : (userAgent.split(/[\s/]/)[0] ?? userAgent);
}
