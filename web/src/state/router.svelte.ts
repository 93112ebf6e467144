/** Where the person is: the path and query of the address bar, without a hash. */
export class Router {
  path = $state(location.pathname);
  query = $state.raw(new URLSearchParams(location.search));
  /** Parts of the path between its slashes. */
  readonly parts = $derived(this.path.split('/').filter(Boolean).map(decode));

  constructor() {
    addEventListener('popstate', () => this.#read());
    document.addEventListener('click', (event) => this.#follow(event));
  }

  /** Goes somewhere; with `replace`, going back skips where one was. */
  go(to: string, { replace = false } = {}): void {
    if (to === location.pathname + location.search) return;
    if (replace) history.replaceState({ inner: true }, '', to);
    else history.pushState({ inner: true }, '', to);
    this.#read();
  }

  /** Goes back if that stays in the interface, and to `otherwise` if not. */
  back(otherwise: string): void {
    const state: unknown = history.state;
    if (typeof state === 'object' && state !== null && 'inner' in state) history.back();
    else this.go(otherwise, { replace: true });
  }

  #read(): void {
    this.path = location.pathname;
    this.query = new URLSearchParams(location.search);
  }

  /** Links within the interface do not load the page again. */
  #follow(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (!link || link.target !== '' || link.hasAttribute('download') || link.origin !== location.origin) return;
    if (link.pathname.startsWith('/api/')) return;
    event.preventDefault();
    this.go(link.pathname + link.search);
  }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
