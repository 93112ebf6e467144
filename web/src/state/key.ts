/** An idempotency key. `crypto.randomUUID` is there on secure origins alone, and an app may be tried out on another. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
