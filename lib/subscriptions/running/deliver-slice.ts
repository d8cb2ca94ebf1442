import type { EntityManager } from 'typeorm';
import type { EventRecord } from '../../events/event-record.ts';
import { type LogPlace, markOf } from '../../store/reading/log-place.ts';
import { type Consumer, isTransactional } from '../consumer.ts';
import { runInDelivery } from '../delivery.ts';
import type { CheckpointStore } from '../checkpoint-store.ts';
import { HandlerFailure } from '../handler-failure.ts';
import type { ParkedAggregates } from './parked-aggregates.ts';
import type { Place } from './checkpoint-cursor.ts';
import { isReplayed } from './selection.ts';
import { HandlerTimeoutError } from '../subscriptions.errors.ts';
import { within } from '../../input/with-timeout.ts';

/** Calls a consumer, for so long and no longer, and only while the lease is sure to be held. */
export async function callConsumer(
  consumer: Consumer,
  place: Place,
  records: readonly EventRecord[],
  manager: EntityManager | undefined,
  attempt: number,
): Promise<void> {
  place.checkHeld();
  const { name, settings } = consumer;
  const { position } = records[0]!;
  const { generation } = place.held;
  if (!isTransactional(consumer)) place.called = markOf(records[0]!);
  const replayed = isReplayed(records[0]!, place.held);
  const delivery = { consumer: name, generation, replayed, attempt };
  try {
    await within(
      settings.timeoutMs,
      runInDelivery(delivery, () => consumer.deliver(records, delivery, manager)),
      () => new HandlerTimeoutError(name, position, settings.timeoutMs),
    );
  } catch (error) {
    throw new HandlerFailure(error);
  }
}

/**
 * Hands records over and commits that everything up to `end` is finished.
 *
 * A projection is called inside the transaction that does so. A handler is called first, so that its
 * event comes again if the process ends in between. Records of parked aggregates queue up there.
 *
 * @throws HandlerFailure if the consumer fails; nothing is committed.
 */
export async function deliver(
  { consumer, place, parked, checkpoints }: Deliverer,
  records: readonly EventRecord[],
  end: LogPlace,
  attempt: number,
): Promise<void> {
  const due = records.filter(({ aggregate }) => !parked.has(aggregate));
  const followers = records.filter(({ aggregate }) => parked.has(aggregate));
  const inTransaction = isTransactional(consumer);
  if (!inTransaction) {
    for (const record of due) await callConsumer(consumer, place, [record], undefined, attempt);
    if (followers.length === 0) return place.save(end, due.length);
  }
  const progress = place.progress(end, due.length);
  const { timeoutMs } = consumer.settings;
  await checkpoints.transaction(place.held, timeoutMs, async (transaction) => {
    if (inTransaction && due.length > 0) {
      await callConsumer(consumer, place, due, transaction.manager, attempt);
    }
    if (followers.length > 0) await transaction.park(positionsOf(followers), null);
    return progress;
  });
  place.hasSaved(progress);
}

/** What it takes to hand records over. */
export interface Deliverer {
  readonly consumer: Consumer;
  readonly place: Place;
  readonly parked: ParkedAggregates;
  readonly checkpoints: CheckpointStore;
}

/** Once each: the parts of an upcast event have one position. */
const positionsOf = (records: readonly EventRecord[]): number[] => [
  ...new Set(records.map(({ position }) => position)),
];
