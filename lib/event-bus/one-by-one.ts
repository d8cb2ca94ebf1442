import { runAsReactionTo } from '../events/event-metadata.ts';
import type { Consumer } from '../subscriptions/consumer.ts';

/** Delivers each event by itself, as what its record set in motion; none before `ready`. */
export const oneByOne =
  (ready: Promise<void>, react: (event: object) => Promise<unknown>): Consumer['deliver'] =>
  async (records) => {
    await ready;
    for (const record of records) {
      await runAsReactionTo(record, () => react(record.event));
    }
  };
