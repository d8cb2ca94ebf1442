import type { EntityManager } from 'typeorm';
import type { EventRecord } from '../../events/event-record.ts';
import { KnownOptions } from '../../input/known-options.ts';

/** The folded state of one aggregate at one version. */
export interface Snapshot {
  readonly version: number;
  readonly state: object;
}

export interface SnapshotOptions {
  /** Which shape the state has; a snapshot of another revision counts as absent. @default 1 */
  readonly revision?: number;
  readonly manager?: EntityManager;
}

/** The last usable snapshot of an aggregate and the events after it, read at one moment. */
export interface AggregateHistory {
  /** The aggregate's version now; 0 if it never had an event. */
  readonly version: number;
  /** Position of the event at that version; 0 if there is none. */
  readonly position: number;
  /** Events up to this version have been removed; what was folded from them is no longer true. */
  readonly removedVersion: number;
  readonly snapshot: Snapshot | null;
  /** All events after the snapshot, or after `after`, in order. */
  readonly records: readonly EventRecord[];
}

export interface HistoryOptions extends SnapshotOptions {
  /** The version already known to the caller: with it, no snapshot is read, only what came later. */
  readonly after?: number;
}

const snapshotNames = { revision: true, manager: true } as const;

export const snapshotOptions = new KnownOptions<SnapshotOptions>('A snapshot', snapshotNames);

export const historyOptions = new KnownOptions<HistoryOptions>('A read of a history', {
  ...snapshotNames,
  after: true,
});
