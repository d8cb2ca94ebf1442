import { inspect } from 'node:util';

/** Returns `value`. @throws TypeError if it is not a whole number from `min` up. */
export function checkWholeNumber(name: string, value: number, min = 0): number {
  if (Number.isSafeInteger(value) && value >= min) return value;
  throw new TypeError(
    `${name} must be a whole number from ${min} to ${Number.MAX_SAFE_INTEGER}, got ${show(value)}.`,
  );
}

/** Formats a value for a message, without the content of objects. */
export const show = (value: unknown): string => inspect(value, { depth: -1, maxStringLength: 50 });
