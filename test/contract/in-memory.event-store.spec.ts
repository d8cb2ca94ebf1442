import { describe, it } from '@jest/globals';
import type { CodecHints, EncodedPayload } from '../../lib/events/payload/event-codec.ts';
import { JsonCodec } from '../../lib/events/payload/json.codec.ts';
import { InMemoryEventStore } from '../../lib/store/in-memory/in-memory.event-store.ts';
import { eventStoreContract } from '../../lib/testing/event-store-contract.ts';

/** Cannot read the texts in `spoilt`. */
class SpoilableCodec extends JsonCodec {
  readonly spoilt = new Set<string>();

  override decode(encoded: EncodedPayload, hints?: CodecHints): object {
    if (this.spoilt.has(encoded.json)) throw new Error('The row is damaged.');
    return super.decode(encoded, hints);
  }
}

describe('InMemoryEventStore', () => {
  eventStoreContract({
    describe,
    it,
    create: (options) => {
      const codec = new SpoilableCodec();
      const store = new InMemoryEventStore({ ...options, codec });
      const spoilSnapshot = async (aggregate: Parameters<typeof store.getSnapshot>[0]) => {
        const snapshot = await store.getSnapshot(aggregate);
        codec.spoilt.add(codec.encode(snapshot!.state).json);
      };
      return { store, spoilSnapshot };
    },
  });
});
