/* What is kept in the browser. It may refuse to keep anything; then everything works, but is forgotten. */

export function recall(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // It is full, or closed to this page.
  }
}

export function forget(key: string): void {
  try {
    localStorage.removeItem(key);
  } catch {
    // As above.
  }
}

/** A value that was kept as JSON; what does not look as it should counts as none. */
export function recallJson<T>(key: string, looks: (value: unknown) => value is T): T | null {
  try {
    const value: unknown = JSON.parse(recall(key) ?? 'null');
    return looks(value) ? value : null;
  } catch {
    return null;
  }
}
