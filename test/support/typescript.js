/**
 * Runs TypeScript in plain child processes: `node --import ./test/support/typescript.js file.ts`.
 *
 * Jest transforms what runs inside of it only. This is the same transform, as a hook of the loader,
 * with its results kept in a cache: a process that is started again and again starts twice as fast.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { register } from 'node:module';
import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';

// Renamed with every change of the transform.
const cache = fileURLToPath(new URL('../../node_modules/.cache/typescript-1/', import.meta.url));

// The hooks live in a thread of their own, which evaluates this file once more.
if (isMainThread) register(import.meta.url);
else await mkdir(cache, { recursive: true });

/** @type {import('node:module').LoadHook} */
export async function load(url, context, nextLoad) {
  if (!url.endsWith('.ts')) return nextLoad(url, context);
  const filename = fileURLToPath(url);
  const text = await readFile(filename, 'utf8');
  const key = createHash('sha256').update(`${filename}\n${text}`).digest('hex');
  const cached = `${cache}${key}.js`;
  let source = await readFile(cached, 'utf8').catch(() => undefined);
  if (source === undefined) {
    source = await transform(filename, text);
    // Another process may read it at the same time: never half of it.
    await writeFile(`${cached}.${process.pid}`, source);
    await rename(`${cached}.${process.pid}`, cached);
  }
  return { format: 'module', source, shortCircuit: true };
}

/** @param {string} filename @param {string} text */
async function transform(filename, text) {
  const swc = await import('@swc/core');
  const { code } = await swc.transform(text, {
    filename,
    swcrc: false,
    sourceMaps: 'inline',
    module: { type: 'es6' },
    jsc: {
      target: 'es2023',
      keepClassNames: true,
      parser: { syntax: 'typescript', decorators: true },
      transform: { legacyDecorator: true, decoratorMetadata: true },
    },
  });
  return code;
}
