import type { HistoryFinding } from './history.ts';

/** Counts the findings of a history that show lost, doubled and skipped events. */
export function countFindings(findings: readonly HistoryFinding[]): {
  readonly lost: number;
  readonly doubled: number;
  readonly skipped: number;
} {
  const count = (...kinds: string[]): number =>
    findings.filter(({ kind }) => kinds.includes(kind)).length;
  return {
    lost: count('lost'),
    doubled: count('event-twice', 'version-twice', 'read-twice', 'counted-twice'),
    skipped: count('skipped'),
  };
}
