import type { EntityManager } from 'typeorm';
import type { EventRecord } from '../../events/event-record.ts';
import { withTimeout } from '../../input/with-timeout.ts';
import type { Consumer } from '../consumer.ts';
import { type Delivery, runInDelivery } from './delivery.ts';
import { runHandler } from './handler-failure.ts';
import { HandlerTimeoutError } from '../subscriptions.errors.ts';

/**
 * Calls a consumer with records as one delivery, with its `timeoutMs` as the time limit.
 *
 * @throws HandlerFailure if the consumer fails or takes too long.
 */
export async function callConsumer(
  consumer: Consumer,
  records: readonly EventRecord[],
  attempt: Pick<Delivery, 'generation' | 'replayed' | 'attempt'>,
  manager: EntityManager | undefined,
): Promise<void> {
  const { name, settings } = consumer;
  const { timeoutMs } = settings;
  const delivery = { consumer: name, ...attempt };
  await runHandler(() =>
    withTimeout(
      timeoutMs,
      runInDelivery(delivery, () => consumer.deliver(records, delivery, manager)),
      () => new HandlerTimeoutError(name, records[0]!.position, timeoutMs),
    ),
  );
}
