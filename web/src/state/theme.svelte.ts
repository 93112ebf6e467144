import { recall, remember } from './storage';

const KEPT = 'theme';
export const THEMES = ['system', 'light', 'dark'] as const;
export type ThemeChoice = (typeof THEMES)[number];

/** Light or dark, as the person or else their system wants it. */
export class Theme {
  #system = matchMedia('(prefers-color-scheme: dark)');
  choice = $state<ThemeChoice>(THEMES.find((theme) => theme === recall(KEPT)) ?? 'system');

  constructor() {
    this.#system.addEventListener('change', () => this.#paint());
    this.#paint();
  }

  choose(choice: ThemeChoice): void {
    this.choice = choice;
    remember(KEPT, choice);
    this.#paint();
  }

  #paint(): void {
    const dark = this.choice === 'dark' || (this.choice === 'system' && this.#system.matches);
    document.documentElement.dataset['theme'] = dark ? 'dark' : 'light';
  }
}
