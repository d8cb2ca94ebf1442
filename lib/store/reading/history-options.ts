import { KnownOptions } from '../../input/known-options.ts';
import type { HistoryOptions, SnapshotOptions } from '../event-store.ts';

const snapshotNames = { revision: true, manager: true } as const;

export const snapshotOptions = new KnownOptions<SnapshotOptions>('A snapshot', snapshotNames);

export const historyOptions = new KnownOptions<HistoryOptions>('A read of a history', {
  ...snapshotNames,
  after: true,
});
