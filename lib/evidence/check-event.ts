import type { ChainedEvent, ChainedSnapshot, LostEnd } from './chained-log.ts';
import type { LogFinding } from './log-report.ts';

/** Returns what is wrong with one event; `start` is the position after which every event has a hash. */
export function checkEvent(event: ChainedEvent, start: number): LogFinding | undefined {
  const { position, version, previousVersion, hash, expectedHash } = event;
  if (!event.aggregate) {
    const detail = 'The event belongs to no aggregate: the row of its aggregate is missing.';
    return { kind: 'missing', position, version, detail };
  }
  const { type, id, version: currentVersion, removedVersion } = event.aggregate;
  const aggregate = { type, id };
  const at = { position, aggregate, version };
  if (event.isRemoved) {
    if (version <= removedVersion) return undefined;
    return { ...at, kind: 'missing', detail: 'It was deleted without removeEvents.' };
  }
  if (version <= removedVersion) {
    const detail = `It exists, but removeEvents has removed all up to version ${removedVersion}.`;
    return { ...at, kind: 'forged', detail };
  }
  if (version > currentVersion) {
    const detail = `The aggregate is at version ${currentVersion} only.`;
    return { ...at, kind: 'forged', detail };
  }
  if (version > previousVersion + 1)
    return { position, ...gap(aggregate, previousVersion, version) };
  if (!hash) {
    if (position <= start && !event.followsHash) return undefined;
    const detail = 'It has no hash: it was not stored through the chain.';
    return { ...at, kind: 'forged', detail };
  }
  if (expectedHash && hash.equals(expectedHash)) return undefined;
  return {
    ...at,
    kind: 'changed',
    detail: 'Its content, its hash, or the hash before it in its aggregate is not what was stored.',
    stored: hash.toString('hex'),
    expected: expectedHash?.toString('hex') ?? '',
  };
}

/** Returns what is wrong with one snapshot. */
export function checkSnapshot(snapshot: ChainedSnapshot): LogFinding | undefined {
  const { aggregate, version, hash, expectedHash } = snapshot;
  if (hash?.equals(expectedHash)) return undefined;
  return {
    kind: 'snapshot',
    aggregate,
    version,
    detail:
      'The snapshot, or the event at its version, is not what was stored, and loading the aggregate ' +
      'begins with it. Set the snapshot_… columns of its row in "aggregates" to NULL: it is then ' +
      'folded from its events. Restart applications that have loaded it.',
    stored: hash?.toString('hex') ?? '',
    expected: expectedHash.toString('hex'),
  };
}

/** Says that the last events of an aggregate are missing. */
export const lostEnd = ({ aggregate, version, lastVersion }: LostEnd): LogFinding =>
  gap(aggregate, lastVersion, version + 1);

function gap(aggregate: LostEnd['aggregate'], before: number, after: number): LogFinding {
  const versions =
    after - before > 2 ? `versions ${before + 1} to ${after - 1}` : `version ${before + 1}`;
  const detail = `The aggregate has no event of ${versions}.`;
  return { kind: 'missing', aggregate, version: before + 1, detail };
}
