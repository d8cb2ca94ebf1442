import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { BinaryCodec } from '../../lib/events/payload/binary.codec.ts';
import { DomainEvent } from '../../lib/events/domain-event.decorator.ts';
import type { EncodedPayload, EventCodec } from '../../lib/events/payload/event-codec.ts';
import { EventData } from '../../lib/events/event-data.ts';
import type { EventStore } from '../../lib/store/event-store.ts';
import { InMemoryEventStore } from '../../lib/store/in-memory/in-memory.event-store.ts';
import { openStore } from '../support/store.ts';
import { useDatabase } from '../support/use-store.ts';

@DomainEvent('parcel.packed')
class Packed {
  constructor(readonly content: unknown) {}
}

/** Encrypts with a nonce, so that no event is encoded twice as the same text. */
class EncryptingCodec implements EventCodec {
  readonly #key = randomBytes(32);

  encode(payload: object): EncodedPayload {
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce);
    const data = Buffer.concat([cipher.update(JSON.stringify(payload)), cipher.final()]);
    const parts = [nonce, cipher.getAuthTag(), data].map((part) => part.toString('base64'));
    return { json: JSON.stringify({ parts }), binary: null };
  }

  decode({ json }: EncodedPayload): object {
    const { parts } = JSON.parse(json) as { parts: string[] };
    const [nonce, tag, data] = parts.map((part) => Buffer.from(part, 'base64'));
    const decipher = createDecipheriv('aes-256-gcm', this.#key, nonce!).setAuthTag(tag!);
    return JSON.parse(`${decipher.update(data!).toString()}${decipher.final().toString()}`);
  }
}

const parcel = () => ({ type: 'parcel', id: randomUUID() });

const database = useDatabase();

describe('a repeated append', () => {
  let dataSource: DataSource;

  beforeAll(async () => {
    dataSource = await database.dataSource();
  });

  const stores = {
    PostgresEventStore: (codec: EventCodec): Promise<EventStore> =>
      openStore(dataSource, { codec, events: [Packed] }),
    InMemoryEventStore: async (codec: EventCodec): Promise<EventStore> =>
      new InMemoryEventStore({ codec, events: [Packed] }),
  };

  describe.each(['PostgresEventStore', 'InMemoryEventStore'] as const)('of %s', (name) => {
    it('is recognized although its codec never encodes anything the same way twice', async () => {
      const store = await stores[name](new EncryptingCodec());
      const ref = parcel();
      const event = (content: unknown) => new EventData(new Packed(content), { id });
      const id = randomUUID();
      const first = await store.append(ref, [event({ books: 2 })]);
      expect(await store.append(ref, [event({ books: 2 })])).toEqual({ ...first, duplicate: true });
      await expect(store.append(ref, [event({ books: 3 })])).rejects.toMatchObject({
        code: 'DUPLICATE_EVENT',
        reason: 'other-content',
        storedFrom: 1,
        storedTo: 1,
      });
    });

    it('is distinguished from other content that only looks the same as JSON', async () => {
      const store = await stores[name](new BinaryCodec());
      const ref = parcel();
      const id = randomUUID();
      const append = (content: unknown) =>
        store.append(ref, [new EventData(new Packed(content), { id })]);
      await append(new Map([['books', 2]]));
      expect(await append(new Map([['books', 2]]))).toMatchObject({ duplicate: true });
      await expect(append([['books', 2]])).rejects.toMatchObject({ reason: 'other-content' });
      await expect(append(new Set([['books', 2]]))).rejects.toMatchObject({
        code: 'DUPLICATE_EVENT',
      });
    });
  });
});
