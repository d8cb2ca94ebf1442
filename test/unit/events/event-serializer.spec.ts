import { inspect } from 'node:util';
import { describe, expect, it, jest } from '@jest/globals';
import { z } from 'zod';
import { BinaryCodec } from '../../../lib/events/payload/binary.codec.ts';
import { DomainEvent } from '../../../lib/events/domain-event.decorator.ts';
import type { EventCodec } from '../../../lib/events/payload/event-codec.ts';
import { EventData } from '../../../lib/events/event-data.ts';
import { runWithMetadata } from '../../../lib/events/metadata/event-metadata.ts';
import { EventRegistry } from '../../../lib/events/event-registry.ts';
import {
  EventSerializer,
  type EventLimits,
  type SerializedEvent,
} from '../../../lib/events/event-serializer.ts';
import { EventSchemaError, RepeatedEventIdError } from '../../../lib/events/events.errors.ts';
import { JsonCodec } from '../../../lib/events/payload/json.codec.ts';

@DomainEvent('noted', { dates: ['at'] })
class Noted {
  readonly text: unknown;
  constructor(text: unknown) {
    this.text = text;
  }
  set trap(_: unknown) {
    throw new Error('Reviving an event must not call a setter.');
  }
}

@DomainEvent('checked', { schema: z.object({ amount: z.number().positive() }) })
class Checked {
  constructor(public amount: number) {}
}

const isKnown = (sku: string): Promise<boolean> => Promise.resolve(sku !== 'secret');
const lookedUp = z.object({
  sku: z.string().refine(isKnown, { error: ({ input }) => `${String(input)} is not for sale` }),
});
@DomainEvent('looked-up', { schema: lookedUp })
class LookedUp {
  constructor(public sku: string) {}
}

const dated = z.object({ at: z.coerce.date().min(new Date(0)) }).readonly();
@DomainEvent('dated', { dates: 'schema', schema: dated })
class Dated {
  constructor(readonly at: Date) {}
}

@DomainEvent('late', { dates: 'schema', schema: z.object({ at: z.date() }) })
class Late {
  readonly at = new Date(0);
}

const uuidV7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const id = '11111111-2222-3333-4444-AAAAAAAAAAAA';

function serializerWith(codec: EventCodec, limits?: EventLimits): EventSerializer {
  const registry = new EventRegistry();
  for (const each of [Noted, Checked, LookedUp, Dated, Late]) registry.register(each);
  expect(registry.problems).toEqual([]);
  return new EventSerializer(registry, codec, limits);
}
const serializer = serializerWith(new JsonCodec());

const stored = (serialized: Pick<SerializedEvent, 'type' | 'payload'>) => ({
  id,
  position: 17,
  aggregate: { type: 'a', id: '1' },
  version: 1,
  revision: 1,
  binary: null,
  metadata: '{}',
  recordedAt: new Date(0),
  ...serialized,
});
const serialized = (events: object[], by = serializer): SerializedEvent[] =>
  by.serialize(events) as SerializedEvent[];

// Not written as one word: the linter reports every object that has such a method.
const method = ['th', 'en'].join('');
/** A promise of another library, which has nothing but `then`. */
const thenable = (then: {
  value?: (done: (value: unknown) => void) => void;
  get?: () => never;
}): object => Object.defineProperty({}, method, then);

describe('Serializing events', () => {
  it('gives every event an id of its own, or keeps the caller’s in lower case', () => {
    const before = Date.now();
    const [first, second, third] = serialized([
      new Noted(1),
      new Noted(2),
      new EventData(new Noted(3), { id }),
    ]);
    expect(first?.id).toMatch(uuidV7);
    expect(second?.id).toMatch(uuidV7);
    expect(first?.id).not.toBe(second?.id);
    const givenAt = parseInt(first!.id.replace('-', '').slice(0, 12), 16);
    expect(givenAt).toBeGreaterThanOrEqual(before);
    expect(givenAt).toBeLessThanOrEqual(Date.now());
    expect(third?.id).toBe(id.toLowerCase());
  });

  it('refuses ids that are no UUIDs and ids that repeat', () => {
    for (const wrong of ['', 'x', `${id} `, `${id}\n`, null as unknown as string]) {
      expect(() => serializer.serialize([new EventData(new Noted(1), { id: wrong })])).toThrow(
        expect.objectContaining({ code: 'INVALID_EVENT', path: 'id', eventType: 'noted' }),
      );
    }
    const twice = [id, id.toLowerCase()].map((each) => new EventData(new Noted(1), { id: each }));
    expect(() => serializer.serialize(twice)).toThrow(RepeatedEventIdError);
  });

  it('merges metadata key by key: surrounding, of the append, of the event', () => {
    const events = runWithMetadata({ actor: 'outer', tenant: 'outer', traceparent: 'outer' }, () =>
      serializer.serialize(
        [
          new Noted(1),
          new EventData(new Noted(2), { metadata: { actor: 'own', traceparent: undefined } }),
        ],
        { actor: 'append', correlationId: 'append' },
      ),
    ) as SerializedEvent[];
    expect(events.map((each) => each.metadataObject)).toEqual([
      { actor: 'append', tenant: 'outer', traceparent: 'outer', correlationId: 'append' },
      { actor: 'own', tenant: 'outer', correlationId: 'append' },
    ]);
    expect(events.map((each) => JSON.parse(each.metadata) as unknown)).toEqual(
      events.map((each) => each.metadataObject),
    );
  });

  it('refuses metadata that cannot be stored, with the path', () => {
    const metadata = { client: { name: 'a\0' } };
    expect(() => serializer.serialize([new Noted(1)], metadata)).toThrow(
      expect.objectContaining({ path: 'metadata.client.name', eventType: 'noted' }),
    );
  });

  it.each([
    ['plain', 'x'.repeat(1000)],
    ['in UTF-8', '€'.repeat(400)],
    ['a list', Array(600).fill(0)],
  ])('refuses an event over maxEventBytes: %s', (_, text) => {
    for (const codec of [new JsonCodec(), new BinaryCodec()]) {
      const small = serializerWith(codec, { maxEventBytes: 1000 });
      expect(() => small.serialize([new Noted(text)])).toThrow(
        expect.objectContaining({
          code: 'EVENT_TOO_LARGE',
          eventType: 'noted',
          maxEventBytes: 1000,
        }),
      );
    }
    expect(serialized([new Noted(text)])).toHaveLength(1);
  });

  it('enforces maxDepth in events, metadata and states', () => {
    const shallow = serializerWith(new JsonCodec(), { maxDepth: 2 });
    const deep = { a: { b: {} } };
    expect(() => shallow.serialize([new Noted({ a: {} })])).toThrow(/maxDepth \(2\)/);
    expect(() => shallow.serialize([new Noted(1)], deep)).toThrow(/maxDepth \(2\)/);
    expect(() => shallow.serializeState(deep)).toThrow(/snapshot's state .* maxDepth \(2\)/);
  });

  it('stores what events hold at the time of the call, although a schema answers late', async () => {
    const event = new LookedUp('a-1');
    const pending = serializer.serialize([event]);
    event.sku = 'secret';
    expect(await pending).toMatchObject([{ payload: '{"sku":"a-1"}' }]);
  });

  it('answers synchronously if no schema is asynchronous', () => {
    expect(serializer.serialize([new Checked(1), new Noted(1)])).toBeInstanceOf(Array);
  });

  it('refuses what a schema refuses, and names paths but no values', async () => {
    expect(() => serializer.serialize([new Checked(-12345)])).toThrow(EventSchemaError);
    expect(() => serializer.serialize([new Checked(-12345)])).toThrow(
      /checked does not accept \$\.amount/,
    );
    const failing = serializer.serialize([
      new LookedUp('a'),
      new LookedUp('secret'),
      new LookedUp('b'),
    ]);
    const error: unknown = await (failing as Promise<unknown>).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'EVENT_SCHEMA',
      issues: [{ path: '$.sku', message: 'secret is not for sale' }],
    });
    expect(inspect(error) + JSON.stringify(error)).not.toContain('secret is');
  });

  it.each<[string, () => unknown]>([
    ['null', () => null],
    ['undefined', () => undefined],
    ['true', () => true],
    ['an empty object', () => ({})],
    ['issues that are no list', () => ({ issues: null })],
    ['an issue that is null', () => ({ issues: [null] })],
    ['an issue whose path is no list', () => ({ issues: [{ message: 'secret', path: 5 }] })],
    ['a path of null', () => ({ issues: [{ message: 'secret', path: [null] }] })],
    [
      'a getter that throws',
      () => ({
        get issues() {
          throw new Error('secret');
        },
      }),
    ],
    ['a promise of null', async () => null],
    ['a promise that is rejected', async () => Promise.reject(new Error('secret'))],
    ['a promise of another library', () => thenable({ value: (done) => done(null) })],
    [
      'a promise that throws',
      () =>
        thenable({
          get: () => {
            throw new Error('secret');
          },
        }),
    ],
    [
      'an exception',
      () => {
        throw new Error('secret');
      },
    ],
    ['a promise that never settles', () => new Promise(() => undefined)],
  ])('refuses an event whose schema answers with %s', async (_, validate) => {
    class Odd {}
    const schema = { '~standard': { version: 1, vendor: 'odd', validate } } as never;
    DomainEvent('odd', { schema, dates: 'schema' })(Odd);
    const registry = new EventRegistry();
    registry.register(Odd);
    const odd = new EventSerializer(registry, new JsonCodec());
    jest.useFakeTimers();
    const refusing = (async () => odd.serialize([new Odd()]))().catch((e: unknown) => e);
    await jest.advanceTimersByTimeAsync(10_000);
    jest.useRealTimers();
    const error: unknown = await refusing;
    expect(error).toMatchObject({ code: 'EVENT_SCHEMA', eventType: 'odd' });
    expect((error as Error).message).not.toMatch(/secret/);
    const reading = () => odd.deserialize(stored({ type: 'odd', payload: '{}' }));
    expect(reading).toThrow(expect.objectContaining({ code: 'UNDECODABLE_EVENT' }));
  });

  it('accepts a promise of another library as the answer of a schema', async () => {
    class Fine {}
    const answer = thenable({ value: (done) => done({ value: {} }) });
    const validate = () => answer;
    DomainEvent('fine', { schema: { '~standard': { version: 1, vendor: '', validate } } as never })(
      Fine,
    );
    const registry = new EventRegistry();
    registry.register(Fine);
    const fine = new EventSerializer(registry, new JsonCodec());
    expect(await fine.serialize([new Fine()])).toHaveLength(1);
  });

  it('shows the schema what a reader would get', () => {
    expect(() => serializer.serialize([new Late()])).toThrow(/late does not accept \$\.at/);
    expect(() => serializer.serialize([new Dated(new Date(-1))])).toThrow(EventSchemaError);
  });
});

describe('Reading events back', () => {
  it('makes an instance of the class with exactly the stored members', () => {
    const payload = '{"text":{"__proto__":{"x":1}},"trap":1,"constructor":2,"__proto__":{"y":1}}';
    const [record] = serializer.deserialize(stored({ type: 'noted', payload }));
    expect(record?.event).toBeInstanceOf(Noted);
    expect(JSON.stringify(record?.event)).toBe(payload);
    const { text } = record!.event as Noted;
    expect(Object.getPrototypeOf(text)).toBe(Object.prototype);
  });

  it('reads through the schema if the schema makes the Dates', () => {
    const [event] = serialized([new Dated(new Date(5))]);
    const [record] = serializer.deserialize(stored(event!));
    expect(record?.event).toStrictEqual(new Dated(new Date(5)));
  });

  it.each<[string, { type: string; payload: string; binary?: Buffer; metadata?: string }]>([
    ['no JSON', { type: 'noted', payload: '{"secret' }],
    ['no object', { type: 'noted', payload: '["secret"]' }],
    ['an invalid Date', { type: 'noted', payload: '{"at":"secret"}' }],
    ['metadata that is no object', { type: 'noted', payload: '{}', metadata: '"secret"' }],
    ['bytes for another codec', { type: 'noted', payload: '{}', binary: Buffer.of(1, 0) }],
    ['what its schema refuses', { type: 'dated', payload: '{"at":"secret"}' }],
  ])('fails with position and type for a row with %s', (_, row) => {
    const reading = (): unknown => serializer.deserialize(stored(row));
    expect(reading).toThrow(
      expect.objectContaining({ code: 'UNDECODABLE_EVENT', position: 17, type: row.type }),
    );
    expect(reading).not.toThrow(/secret/);
  });

  it('does not repeat the message of a foreign codec, which may quote the payload', () => {
    const { proxy: unreadable, revoke } = Proxy.revocable(new Error('secret'), {});
    revoke();
    for (const thrown of [new Error('secret'), unreadable]) {
      const codec: EventCodec = {
        encode: () => ({ json: '{}', binary: null }),
        decode: () => {
          throw thrown;
        },
      };
      const reading = (): unknown =>
        serializerWith(codec).deserialize(stored({ type: 'noted', payload: '{}' }));
      expect(reading).toThrow(/position 17, of type noted, cannot be decoded\. See the cause/);
      expect(reading).not.toThrow(/secret/);
    }
  });

  it.each([new JsonCodec(), new BinaryCodec()])(
    'gives the state of a snapshot back as plain data',
    (codec) => {
      const state = { version: 1, offers: [{ amount: 5 }], note: null };
      const by = serializerWith(codec);
      expect(by.deserializeState(by.serializeState(state))).toStrictEqual(state);
      expect(() => by.serializeState({ note: '\0' })).toThrow(/snapshot's state .* \$\.note/);
    },
  );
});
