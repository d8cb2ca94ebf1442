import { runAsReactionTo } from '../events/event-metadata.ts';
import type { Consumer } from '../subscriptions/consumer.ts';
import { runInDelivery } from '../subscriptions/delivery.ts';

/** Delivers each record as an event of its own: with its correlation, and inside its delivery. */
export const oneByOne =
  (react: (event: object) => Promise<unknown>): Consumer['deliver'] =>
  async (records, delivery) => {
    for (const record of records) {
      await runAsReactionTo(record, () => runInDelivery(delivery, () => react(record.event)));
    }
  };
