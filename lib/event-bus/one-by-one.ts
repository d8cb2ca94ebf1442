import { runAsReactionTo } from '../events/event-metadata.ts';
import type { Consumer } from '../subscriptions/consumer.ts';

/** Delivers each event by itself, as what its record set in motion. */
export const oneByOne =
  (react: (event: object) => Promise<unknown>): Consumer['deliver'] =>
  async (records) => {
    for (const record of records) {
      await runAsReactionTo(record, () => react(record.event));
    }
  };
