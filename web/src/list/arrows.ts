const STOPS = 'a[href], button:not(:disabled)';

/** Lets the arrow keys, Home and End move the focus from one link of a list to another. */
export function byArrows(list: HTMLElement): () => void {
  const move = (event: KeyboardEvent): void => {
    const stops = [...list.querySelectorAll<HTMLElement>(STOPS)];
    const here = stops.findIndex((stop) => stop === document.activeElement);
    const steps: Record<string, number> = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: stops.length - 1 };
    const next = here === -1 ? undefined : stops[steps[event.key] ?? -1];
    if (!next) return;
    event.preventDefault();
    next.focus();
  };
  list.addEventListener('keydown', move);
  return () => list.removeEventListener('keydown', move);
}
