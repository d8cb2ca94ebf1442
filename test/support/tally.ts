import { appendFileSync } from 'node:fs';
import { expect } from '@jest/globals';

/** What a test has seen while a fault was there; what it did not look for is left out. */
export interface Counts {
  /** How often the fault was there. @default 1 */
  readonly runs?: number;
  /** Appends, or transactions with several. */
  readonly acknowledged?: number;
  readonly lost?: number;
  readonly doubled?: number;
  readonly skipped?: number;
  /** The longest time until everybody was answered again. */
  readonly recoveryMs?: number | undefined;
}

/** A line of the file from which `npm run test:faults` makes its table. */
export interface TallyLine extends Counts {
  readonly fault: string;
  /** The path of the spec. */
  readonly spec: string;
}

/** Notes for the table of `npm run test:faults` what was seen; in any other run it does nothing. */
export function tally(fault: `F${number}` | 'F9b', counts: Counts = {}): void {
  const file = process.env['FAULT_TALLY'];
  if (!file) return;
  const { runs = 1, acknowledged, lost, doubled, skipped, recoveryMs } = counts;
  const spec = expect.getState().testPath!;
  const line = { fault, spec, runs, acknowledged, lost, doubled, skipped, recoveryMs };
  appendFileSync(file, `${JSON.stringify(line satisfies TallyLine)}\n`);
}

/** How many of those that must be there are not, and how many are there again. */
export function countCopies<T>(
  wanted: readonly T[],
  found: readonly T[],
): Required<Pick<Counts, 'lost' | 'doubled'>> {
  const there = new Set(found);
  return {
    lost: wanted.filter((each) => !there.has(each)).length,
    doubled: found.length - there.size,
  };
}
