import type { EntityManager } from 'typeorm';
import type { EventRecord } from '../../events/event-record.ts';
import { type LogPlace, markOf } from '../../store/reading/log-place.ts';
import { type Consumer, isTransactional } from '../consumer.ts';
import { callConsumer } from '../delivery/call-consumer.ts';
import type { CheckpointStore } from '../checkpoint-store.ts';
import type { ParkedAggregates } from './parked-aggregates.ts';
import type { CheckpointCursor } from './checkpoint-cursor.ts';
import { isReplayed } from './selection.ts';

/** Calls a consumer, but only while the lease is certainly held. @throws HandlerFailure */
export async function callWhileHeld(
  { consumer, cursor }: Pick<Deliverer, 'consumer' | 'cursor'>,
  records: readonly EventRecord[],
  manager: EntityManager | undefined,
  attempt: number,
): Promise<void> {
  cursor.checkHeld();
  const first = records[0]!;
  if (!isTransactional(consumer)) cursor.called = markOf(first);
  const { generation } = cursor.held;
  const replayed = isReplayed(first, cursor.held);
  await callConsumer(consumer, records, { generation, replayed, attempt }, manager);
}

/**
 * Delivers records and commits that everything up to `end` is finished.
 *
 * A projection is called inside the transaction of this commit. A handler is called before it, so that
 * its event comes again if the process ends in between. Records of parked aggregates are parked, too.
 *
 * @throws HandlerFailure if the consumer fails; nothing is committed.
 */
export async function deliver(
  deliverer: Deliverer,
  records: readonly EventRecord[],
  end: LogPlace,
  attempt: number,
): Promise<void> {
  const { consumer, cursor, parked, checkpoints } = deliverer;
  const due = records.filter(({ aggregate }) => !parked.has(aggregate));
  const followers = records.filter(({ aggregate }) => parked.has(aggregate));
  const inTransaction = isTransactional(consumer);
  if (!inTransaction) {
    for (const record of due) await callWhileHeld(deliverer, [record], undefined, attempt);
    if (followers.length === 0) return cursor.save(end, due.length);
  }
  const progress = cursor.progress(end, due.length);
  const { timeoutMs } = consumer.settings;
  await checkpoints.transaction(cursor.held, timeoutMs, async (transaction) => {
    if (inTransaction && due.length > 0) {
      await callWhileHeld(deliverer, due, transaction.manager, attempt);
    }
    if (followers.length > 0) await transaction.park(positionsOf(followers), null);
    return progress;
  });
  cursor.hasSaved(progress);
}

/** The parts that a delivery of records needs. */
export interface Deliverer {
  readonly consumer: Consumer;
  readonly cursor: CheckpointCursor;
  readonly parked: ParkedAggregates;
  readonly checkpoints: CheckpointStore;
}

/** Returns each position once: the parts of an upcast event share one position. */
const positionsOf = (records: readonly EventRecord[]): number[] => [
  ...new Set(records.map(({ position }) => position)),
];
