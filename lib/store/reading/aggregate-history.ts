import type { EntityManager } from 'typeorm';
import type { EventRecord } from '../../events/event-record.ts';
import { KnownOptions } from '../../input/known-options.ts';

/** The folded state of one aggregate at one version. */
export interface Snapshot {
  readonly version: number;
  readonly state: object;
}

export interface SnapshotOptions {
  /** The revision of the state's shape; a snapshot of another revision counts as absent. @default 1 */
  readonly revision?: number;
  readonly manager?: EntityManager;
}

/** The last usable snapshot of an aggregate and the events after it, read at one moment. */
export interface AggregateHistory {
  /** The aggregate's version now; 0 if it never had an event. */
  readonly version: number;
  /** Position of the event at that version; 0 if there is none. */
  readonly position: number;
  /** Events up to this version were removed; state that was folded from them is no longer valid. */
  readonly removedVersion: number;
  readonly snapshot: Snapshot | null;
  /** All events after the snapshot, or after `after`, in order. */
  readonly records: readonly EventRecord[];
}

export interface HistoryOptions extends SnapshotOptions {
  /** The version that the caller already knows: no snapshot is read, only the events after it. */
  readonly after?: number;
}

const snapshotNames = { revision: true, manager: true } as const;

export const snapshotOptions = new KnownOptions<SnapshotOptions>('A snapshot', snapshotNames);

export const historyOptions = new KnownOptions<HistoryOptions>('A read of a history', {
  ...snapshotNames,
  after: true,
});
