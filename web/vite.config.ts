import { svelte } from '@sveltejs/vite-plugin-svelte';
import { svelteTesting } from '@testing-library/svelte/vite';
import tailwindcss from '@tailwindcss/vite';
import { defineConfig } from 'vitest/config';
import { compress } from './build/compress.ts';
import { budget } from './build/budget.ts';

/** Bytes of JavaScript that a browser needs before it shows anything, compressed, at most. */
const INITIAL_JAVASCRIPT = 100 * 1024;

export default defineConfig({
  plugins: [tailwindcss(), svelte(), svelteTesting(), budget(INITIAL_JAVASCRIPT), compress()],
  resolve: { alias: { $: new URL('./src', import.meta.url).pathname } },
  build: {
    target: 'es2022',
    // Nothing may stand in the page itself: the Content-Security-Policy would not let it in.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: { proxy: { '/api': { target: process.env.APP_URL ?? 'http://app-a.localhost:8001', ws: true } } },
  test: { environment: 'jsdom', testTimeout: 30_000, include: ['src/**/*.test.ts'], setupFiles: ['src/test-setup.ts'] },
});
