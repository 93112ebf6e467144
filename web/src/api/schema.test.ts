import { readFileSync } from 'node:fs';
import openapiTS, { astToString } from 'openapi-typescript';
import { expect, test } from 'vitest';

const root = `${import.meta.dirname}/..`;

test('the client is that of the snapshot: npm run client makes it anew', { timeout: 60_000 }, async () => {
  const snapshot = new URL(`file://${root}/../../openapi/messaging.json`);
  const made = astToString(await openapiTS(snapshot, { emptyObjectsUnknown: true }));
  const kept = readFileSync(`${root}/api/schema.d.ts`, 'utf8');
  // The command line writes a notice above it.
  expect(kept.endsWith(made)).toBe(true);
});
