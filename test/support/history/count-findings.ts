import type { HistoryFinding } from './history.ts';

/** How much of what a history shows was lost, doubled and skipped. */
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
