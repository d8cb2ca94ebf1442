import { checkWholeNumber } from '../input/whole-number.ts';

export type VersionComparison = 'equal' | 'next' | 'future' | 'past';

/**
 * Returns how a consumer at `current` must handle a pushed record at `incoming`.
 *
 * Apply the `'next'` (current + 1), and drop the `'equal'` and the `'past'`. For a `'future'` record,
 * read the records in between from the store. Positions may have gaps, so a future record may turn out
 * to be the next one: that read then returns little, and is always correct.
 *
 * @throws TypeError if one of them is not a whole number from 0 to `Number.MAX_SAFE_INTEGER`.
 */
export function compareVersion(current: number, incoming: number): VersionComparison {
  checkWholeNumber('current', current);
  checkWholeNumber('incoming', incoming);
  if (incoming === current) return 'equal';
  if (incoming < current) return 'past';
  return incoming === current + 1 ? 'next' : 'future';
}
