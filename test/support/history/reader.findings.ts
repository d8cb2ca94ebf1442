import { groupBy } from './group-by.ts';
import type { HistoryFinding, ReadPage, StoredEventRow } from './history.ts';

/**
 * Reports where readers did not get the beginning of the log: every event, in order, once.
 *
 * A reader may have been stopped anywhere; up to there, it must have read exactly the log.
 */
export function findingsOfReaders(
  pages: readonly ReadPage[],
  log: readonly StoredEventRow[],
): HistoryFinding[] {
  const byReader = groupBy(pages, ({ reader }) => reader);
  return [...byReader].flatMap(([reader, own]) => findingsOfReader(reader, own, log));
}

function findingsOfReader(
  reader: string,
  pages: readonly ReadPage[],
  log: readonly StoredEventRow[],
): HistoryFinding[] {
  const findings: HistoryFinding[] = [];
  const stored = new Map(log.map((row) => [row.position, row.id]));
  const seen = new Set<number>();
  let last = 0;
  for (const { events, position: end } of pages) {
    for (const { position, id } of events) {
      const detail = `${reader} was handed ${id} at position ${position}`;
      if (stored.get(position) !== id) findings.push({ kind: 'read-but-not-stored', detail });
      if (seen.has(position)) findings.push({ kind: 'read-twice', detail });
      else if (position < last) {
        findings.push({ kind: 'read-out-of-order', detail: `${detail} after ${last}` });
      }
      seen.add(position);
      last = Math.max(last, position);
    }
    // An empty page moves a reader too.
    last = Math.max(last, end);
  }
  for (const { position, id } of log) {
    if (position <= last && !seen.has(position)) {
      const detail = `${reader} came to ${last} without ${id} at position ${position}`;
      findings.push({ kind: 'skipped', detail });
    }
  }
  return findings;
}
