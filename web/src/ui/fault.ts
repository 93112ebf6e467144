import { tick } from 'svelte';

/** Leads whoever has sent a form to the first field that is not right, once it says so. */
export async function toFault(form: EventTarget | null): Promise<void> {
  await tick();
  if (form instanceof HTMLFormElement) form.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
}
