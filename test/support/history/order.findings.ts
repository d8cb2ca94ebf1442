import { groupBy } from './group-by.ts';
import type { Attempt, History, HistoryFinding, VersionRead } from './history.ts';

/** All attempts with the same ids: from the first call to the first answer that they are stored. */
interface Stored {
  readonly by: string;
  readonly startedAt: number;
  readonly knownAt: number;
  readonly lowest: number;
  readonly highest: number;
  /** By aggregate, the version after it. */
  readonly versions: ReadonlyMap<string, number>;
}

/**
 * Reports where the log contradicts the order in which calls were made and answered.
 *
 * An append that began after an answer has greater positions than the answered one. No read gets a
 * version that is older than one answered before it began, or newer than all appends begun by its end.
 */
export function findingsOfOrder(history: History): HistoryFinding[] {
  const stored = storedOf(history);
  return [...findingsOfPositions(stored), ...findingsOfVersions(stored, reportedVersions(history))];
}

function storedOf({ attempts, log }: History): Stored[] {
  const rows = new Map(log.map((row) => [row.id, row]));
  const firstId = ({ appends }: Attempt) => appends.find(({ events }) => events[0])?.events[0]?.id;
  return [...groupBy(attempts, firstId)].flatMap(([id, tries]) => {
    const { by, appends } = tries[0]!;
    const own = appends.flatMap(({ events }) =>
      events.flatMap((event) => rows.get(event.id) ?? []),
    );
    if (id === undefined || own.length === 0) return [];
    const answered = tries.filter(({ outcome }) => outcome === 'acknowledged');
    const positions = own.map(({ position }) => position);
    return {
      by,
      startedAt: Math.min(...tries.map(({ startedAt }) => startedAt)),
      knownAt: Math.min(...answered.map(({ endedAt }) => endedAt)),
      lowest: Math.min(...positions),
      highest: Math.max(...positions),
      versions: new Map(own.map(({ aggregate, version }) => [aggregate, version])),
    };
  });
}

function findingsOfPositions(stored: readonly Stored[]): HistoryFinding[] {
  const findings: HistoryFinding[] = [];
  const known = stored.toSorted((a, b) => a.knownAt - b.knownAt);
  let next = 0;
  let before: Stored | undefined;
  for (const one of stored.toSorted((a, b) => a.startedAt - b.startedAt)) {
    for (; next < known.length && known[next]!.knownAt < one.startedAt; next++) {
      if (!before || known[next]!.highest > before.highest) before = known[next];
    }
    if (!before || one.lowest > before.highest) continue;
    const detail = `position ${one.lowest} of ${one.by} began after ${before.highest} of ${before.by} was answered`;
    findings.push({ kind: 'overtaken', detail });
  }
  return findings;
}

/** Versions that were read, and those that conflicts have reported. */
function reportedVersions({ versionReads, attempts }: History): VersionRead[] {
  return [
    ...versionReads,
    ...attempts.flatMap(({ appends, error, startedAt, endedAt }) =>
      error?.actualVersion === undefined || appends.length !== 1
        ? []
        : [
            {
              aggregate: appends[0]!.aggregate,
              version: error.actualVersion,
              startedAt,
              endedAt,
            },
          ],
    ),
  ];
}

function findingsOfVersions(
  stored: readonly Stored[],
  reported: readonly VersionRead[],
): HistoryFinding[] {
  const byAggregate = new Map<string, { version: number; one: Stored }[]>();
  for (const one of stored) {
    for (const [aggregate, version] of one.versions) {
      const list = byAggregate.get(aggregate) ?? [];
      byAggregate.set(aggregate, list);
      list.push({ version, one });
    }
  }
  return reported.flatMap(({ aggregate, version, startedAt, endedAt }) => {
    const appends = byAggregate.get(aggregate) ?? [];
    const newer = appends.find(({ version: v, one }) => v > version && one.knownAt < startedAt);
    if (newer) {
      const detail = `${aggregate} was said to be at ${version} after ${newer.version} was answered`;
      return [{ kind: 'stale-version', detail }];
    }
    const isThere =
      version === 0 ||
      appends.some(({ version: v, one }) => v === version && one.startedAt <= endedAt);
    if (isThere) return [];
    const detail = `${aggregate} was said to be at ${version}, where no append has ended that had begun`;
    return [{ kind: 'invented-version', detail }];
  });
}
