import { gzipSync } from 'node:zlib';
import type { Plugin, Rollup } from 'vite';

/**
 * Fails the build when the JavaScript that a page needs at first exceeds so many bytes with gzip, the weaker of the two
 * compressions. What is imported on demand does not count.
 */
export function budget(limit: number): Plugin {
  return {
    name: 'budget',
    apply: 'build',
    generateBundle(_, bundle) {
      const chunks = Object.values(bundle).filter((file): file is Rollup.OutputChunk => file.type === 'chunk');
      const needed = new Set<string>();
      const need = (name: string): void => {
        if (needed.has(name)) return;
        needed.add(name);
        chunks.find((chunk) => chunk.fileName === name)?.imports.forEach(need);
      };
      chunks.filter((chunk) => chunk.isEntry).forEach((chunk) => need(chunk.fileName));
      const sizes = chunks.filter((chunk) => needed.has(chunk.fileName)).map((chunk) => gzipSync(chunk.code).length);
      const total = sizes.reduce((sum, size) => sum + size, 0);
      const words = `the initial JavaScript has ${(total / 1024).toFixed(1)} of ${(limit / 1024).toFixed(0)} KiB, compressed`;
      if (total > limit) this.error(words);
      this.info(words);
    },
  };
}
