import { inspect } from 'node:util';

/**
 * The version that an append expects of its aggregate when it is written.
 *
 * `'any'` checks nothing, `'no_stream'` expects an aggregate that never had an event, `'exists'` one
 * that had at least one, and a number the current version (0 is the same as `'no_stream'`). Removed
 * events count: an aggregate keeps its version when its events are removed.
 */
export type ExpectedVersion = 'any' | 'no_stream' | 'exists' | number;

/** A checked expected version with its rule. */
export class VersionExpectation {
  readonly expected: ExpectedVersion;

  /** @throws TypeError if `expected` is neither one of the words nor a whole number from 0 up. */
  constructor(expected: ExpectedVersion = 'any') {
    const isWord = expected === 'any' || expected === 'no_stream' || expected === 'exists';
    if (!isWord && !(Number.isSafeInteger(expected) && expected >= 0)) {
      throw new TypeError(
        `expectedVersion must be 'any', 'no_stream', 'exists' or a whole number from 0 to ` +
          `${Number.MAX_SAFE_INTEGER}, got ${inspect(expected, { depth: -1, maxStringLength: 50 })}.`,
      );
    }
    this.expected = expected;
  }

  /** Returns whether an aggregate at `version` may take the append. */
  accepts(version: number): boolean {
    if (this.expected === 'any') return true;
    if (this.expected === 'exists') return version > 0;
    return version === (this.expected === 'no_stream' ? 0 : this.expected);
  }
}
