import { runAsReactionTo } from '../events/metadata/event-metadata.ts';
import type { Consumer } from '../subscriptions/consumer.ts';
import { runForEvent } from '../subscriptions/delivery/delivery.ts';

/** Delivers each event by itself, as a reaction to its record, and only after `ready`. */
export const oneByOne =
  (ready: Promise<void>, react: (event: object) => Promise<unknown>): Consumer['deliver'] =>
  async (records, delivery) => {
    await ready;
    for (const record of records) {
      await runForEvent(delivery, record.id, () =>
        runAsReactionTo(record, () => react(record.event)),
      );
    }
  };
