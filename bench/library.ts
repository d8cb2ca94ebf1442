import type * as Library from '../lib/index.ts';

const built = new URL('../dist/index.js', import.meta.url);

/** The library as it is published: what `npm run build` has made of it. */
export const library = (await import(built.href)) as typeof Library;
