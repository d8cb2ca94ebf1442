import { appendFileSync } from 'node:fs';
import { expect } from '@jest/globals';

/** What a test saw during a fault; leave out what it did not look for. */
export interface Counts {
  /** How often the fault happened. @default 1 */
  readonly runs?: number;
  /** Appends, or transactions with several. */
  readonly acknowledged?: number;
  readonly lost?: number;
  readonly doubled?: number;
  readonly skipped?: number;
  /** The longest time until every caller was answered again. */
  readonly recoveryMs?: number | undefined;
}

/** A line of the file from which `npm run test:faults` makes its table. */
export interface TallyLine extends Counts {
  readonly fault: string;
  /** The path of the spec. */
  readonly spec: string;
}

/** Records what was seen for the table of `npm run test:faults`; does nothing in any other run. */
export function tally(fault: `F${number}` | 'F9b', counts: Counts = {}): void {
  const file = process.env['FAULT_TALLY'];
  if (!file) return;
  const { runs = 1, acknowledged, lost, doubled, skipped, recoveryMs } = counts;
  const spec = expect.getState().testPath!;
  const line = { fault, spec, runs, acknowledged, lost, doubled, skipped, recoveryMs };
  appendFileSync(file, `${JSON.stringify(line satisfies TallyLine)}\n`);
}

/** Counts how many of the expected items are missing, and how many are there more than once. */
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
