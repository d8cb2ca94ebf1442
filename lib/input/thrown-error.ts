import { types } from 'node:util';

/**
 * Returns an error that is safe to read: what was thrown if that is an ordinary error, else a copy of it.
 *
 * JavaScript can throw any value, and reading one may throw again: a getter, a Proxy, an object without
 * `toString`. The code that deals with a failure must not fail because of its reason, so it reads what
 * other code has thrown through this function only. Never throws.
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

// What is read of an error when it is described, and when it is classified.
const readKeys = ['name', 'message', 'code', 'constraint', 'syscall', 'cause', 'toString'];
const copiedKeys = [
  ...['name', 'message', 'code', 'constraint', 'syscall'],
  ...['table', 'column', 'dataType'],
];

/** Whether every read gives the same text and runs no code of the error's own. */
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

/** How a value reads that brings no message; never the members of an object, which may be secret. */
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
