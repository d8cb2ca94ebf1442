import type { HistoryFinding, StoredEventRow } from './history.ts';

/**
 * Returns what is wrong with a log, whatever its writers did.
 *
 * Positions and ids are unique, the versions of an aggregate are 1, 2, 3 …, and positions follow them.
 */
export function findingsOfLog(log: readonly StoredEventRow[]): HistoryFinding[] {
  const findings: HistoryFinding[] = [];
  const ids = new Set<string>();
  const versions = new Map<string, Set<number>>();
  const last = new Map<string, number>();
  let lastPosition = 0;
  for (const { id, position, aggregate, version } of log) {
    const detail = `${id} at position ${position}, ${aggregate} version ${version}`;
    if (position <= lastPosition) findings.push({ kind: 'position-order', detail });
    lastPosition = position;
    if (ids.has(id)) findings.push({ kind: 'event-twice', detail });
    ids.add(id);

    const seen = versions.get(aggregate) ?? new Set();
    versions.set(aggregate, seen);
    if (seen.has(version)) findings.push({ kind: 'version-twice', detail });
    else if (version < (last.get(aggregate) ?? 0)) findings.push({ kind: 'version-order', detail });
    seen.add(version);
    last.set(aggregate, version);
  }
  for (const [aggregate, seen] of versions) {
    const highest = Math.max(...seen);
    if (seen.size === highest) continue;
    const missing = Array.from({ length: highest }, (_, n) => n + 1).find((n) => !seen.has(n));
    findings.push({
      kind: 'version-gap',
      detail: `${aggregate} reaches ${highest} without ${missing}`,
    });
  }
  return findings;
}
