import { checkWholeNumber } from '../input/whole-number.ts';

export type VersionComparison = 'equal' | 'next' | 'future' | 'past';

/**
 * Returns what a consumer at `current` does with a pushed record at `incoming`.
 *
 * Apply the `'next'` (current + 1), drop the `'equal'` and the `'past'`, and for a `'future'` one
 * read from the store what lies between. Positions may have gaps, so a future record may turn out
 * to be the next one: that read is then short, and always right.
 *
 * @throws TypeError if either is not a whole number from 0 to `Number.MAX_SAFE_INTEGER`.
 */
export function compareVersion(current: number, incoming: number): VersionComparison {
  checkWholeNumber('current', current);
  checkWholeNumber('incoming', incoming);
  if (incoming === current) return 'equal';
  if (incoming < current) return 'past';
  return incoming === current + 1 ? 'next' : 'future';
}
