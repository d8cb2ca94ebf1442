import { types } from 'node:util';

/**
 * Returns an error that is safe to read: the thrown value if it is an ordinary error, otherwise a copy.
 *
 * JavaScript can throw any value, and reading the value may throw again: a getter, a Proxy, an object
 * without `toString`. Code that handles a failure must not fail because of what was thrown, so it reads
 * thrown values only through this function. Never throws.
 */
export function errorOf(thrown: unknown): Error {
  if (isOrdinary(thrown)) return thrown;
  const copy = new Error(textOf(thrown));
  for (const key of copiedKeys) {
    const value = read(thrown, key);
    if (typeof value !== 'string') continue;
    Object.defineProperty(copy, key, { value, configurable: true, writable: true });
  }
  return copy;
}

// The fields that are read when an error is described or classified.
const readKeys = ['name', 'message', 'code', 'constraint', 'syscall', 'cause', 'toString'];
const copiedKeys = [
  ...['name', 'message', 'code', 'constraint', 'syscall'],
  ...['table', 'column', 'dataType'],
];

/** Returns whether every read gives the same text and runs no code of the error itself. */
function isOrdinary(thrown: unknown): thrown is Error {
  try {
    return (
      !types.isProxy(thrown) &&
      thrown instanceof Error &&
      typeof thrown.name === 'string' &&
      typeof thrown.message === 'string' &&
      typeof thrown.toString() === 'string' &&
      readKeys.every((key) => isPlainMember(thrown, key))
    );
  } catch {
    return false;
  }
}

function isPlainMember(error: Error, key: string): boolean {
  for (let each: unknown = error; each !== null; each = Object.getPrototypeOf(each)) {
    if (types.isProxy(each)) return false;
    const member = Object.getOwnPropertyDescriptor(each, key);
    if (member) return 'value' in member;
  }
  return true;
}

function read(thrown: unknown, key: string): unknown {
  try {
    return typeof thrown === 'object'
      ? (thrown as Record<string, unknown> | null)?.[key]
      : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Returns a text for a thrown value without a message; never the members of an object, which may be
 * secret.
 */
function textOf(thrown: unknown): string {
  for (const toText of [String, (value: unknown) => Object.prototype.toString.call(value)]) {
    try {
      return toText(thrown);
    } catch {
      continue;
    }
  }
  return 'a value that cannot be read';
}
