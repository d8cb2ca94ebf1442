import { describe, expect, it } from '@jest/globals';
import { DomainEvent } from '../../../lib/events/domain-event.decorator.ts';
import { currentMetadata, runAsReactionTo } from '../../../lib/events/metadata/event-metadata.ts';
import { recordOf, type EventRecord } from '../../../lib/events/event-record.ts';
import { EventRegistry } from '../../../lib/events/event-registry.ts';
import { EventSerializer, type StoredEvent } from '../../../lib/events/event-serializer.ts';
import { UnknownEventTypeError, UpcastError } from '../../../lib/events/events.errors.ts';
import { JsonCodec } from '../../../lib/events/payload/json.codec.ts';
import { upcaster, type Upcaster } from '../../../lib/events/upcaster.ts';

@DomainEvent('offer.sent', { revision: 3, dates: ['sentAt'], aliases: ['offer.mailed'] })
class OfferSent {
  constructor(
    readonly amount: number,
    readonly currency: string,
    readonly sentAt: Date,
  ) {
    throw new Error('Reading an event must not call its constructor.');
  }
}

@DomainEvent('offer.printed')
class OfferPrinted {}

const addCurrency = upcaster('offer.sent', 1, (offer) => ({ ...offer, currency: 'EUR' }));
const addDate = upcaster('offer.sent', 2, (offer, { recordedAt }) => ({
  ...offer,
  sentAt: recordedAt.toISOString(),
}));

const stored: StoredEvent = {
  id: 'a',
  position: 17,
  aggregate: { type: 'loan-application', id: '1' },
  version: 4,
  type: 'offer.sent',
  revision: 1,
  payload: '{"amount":5}',
  binary: null,
  metadata: '{"actor":"user 112"}',
  recordedAt: new Date(1000),
};

function read(row: Partial<StoredEvent>, ...upcasters: Upcaster[]): EventRecord[] {
  const registry = new EventRegistry();
  registry.register(OfferSent);
  registry.register(OfferPrinted);
  for (const each of upcasters) registry.registerUpcaster(each);
  return new EventSerializer(registry, new JsonCodec()).deserialize({ ...stored, ...row });
}

describe('Reading an event of an old shape', () => {
  it('applies one upcaster after the other, up to the revision of the class', () => {
    const [record] = read({}, addDate, addCurrency);
    expect(record).toMatchObject({ type: 'offer.sent', revision: 3, part: 0, position: 17 });
    expect(record?.event).toBeInstanceOf(OfferSent);
    expect({ ...record?.event }).toEqual({ amount: 5, currency: 'EUR', sentAt: new Date(1000) });
    expect(recordOf(record!.event)).toBe(record);
  });

  it('applies the upcasters of the current name to events stored under a former one', () => {
    const [record] = read({ type: 'offer.mailed' }, addDate, addCurrency);
    expect(record).toMatchObject({ type: 'offer.sent', event: { currency: 'EUR' } });
  });

  it('prefers an upcaster that is registered for the former name', () => {
    const ofMailed = upcaster('offer.mailed', 1, () => ({ amount: 0 }));
    const [record] = read({ type: 'offer.mailed' }, ofMailed, addCurrency, addDate);
    expect(record).toMatchObject({
      type: 'offer.sent',
      event: { amount: 0, sentAt: new Date(1000) },
    });
  });

  it('shows upcasters what was stored, and revives Dates afterwards', () => {
    const sentAt = '2026-01-02T03:04:05.678Z';
    const shown: unknown[] = [];
    const look = upcaster('offer.sent', 2, (payload) => {
      shown.push({ ...payload });
      return payload;
    });
    const [record] = read({ revision: 2, payload: JSON.stringify({ sentAt }) }, look);
    expect(shown).toEqual([{ sentAt }]);
    expect(record?.event).toMatchObject({ sentAt: new Date(sentAt) });
  });

  it('does not change new events', () => {
    const payload = '{"amount":1,"currency":"USD","sentAt":"2026-01-02T03:04:05.678Z"}';
    const [record] = read({ revision: 3, payload }, addDate, addCurrency);
    const sentAt = new Date('2026-01-02T03:04:05.678Z');
    expect({ ...record?.event }).toEqual({ amount: 1, currency: 'USD', sentAt });
  });

  it('may make several events of one, each a part of the same position and version', () => {
    const split = upcaster('offer.made', 1, (payload) => [
      { type: 'offer.printed', revision: 1, payload: {} },
      { type: 'offer.sent', revision: 2, payload },
    ]);
    const records = read({ type: 'offer.made' }, split, addDate);
    expect(
      records.map(({ type, position, version, part }) => [type, position, version, part]),
    ).toEqual([
      ['offer.printed', 17, 4, 0],
      ['offer.sent', 17, 4, 1],
    ]);
    expect(records.map(({ event }) => event.constructor)).toEqual([OfferPrinted, OfferSent]);
  });

  it('gives each of several parts an id of its own, the same at every read', () => {
    const id = '0192f3a4-0000-7000-8000-000000000001';
    const split = upcaster('offer.made', 1, (payload) => [
      { type: 'offer.printed', revision: 1, payload: {} },
      { type: 'offer.sent', revision: 2, payload },
      { type: 'offer.printed', revision: 1, payload: {} },
    ]);
    const records = read({ id, type: 'offer.made' }, split, addDate);
    expect(records.map((record) => record.id)).toEqual([
      id,
      'ee1db310-51e0-55d9-9414-55eb555694e4',
      '44b2bfd8-9573-5528-8ed1-a790c90eec3d',
    ]);
    const causes = records.map((record) => runAsReactionTo(record, currentMetadata).causationId);
    expect(causes).toEqual([id, id, id]);
  });

  it('may make up to a thousand events of one', () => {
    const printed = { type: 'offer.printed', revision: 1, payload: {} };
    const split = upcaster('a', 1, () => Array.from({ length: 1_000 }, () => printed));
    const records = read({ type: 'a' }, split);
    expect(new Set(records.map((record) => record.id)).size).toBe(1_000);
  });

  it('is not disturbed by an upcaster that returns a frozen constant', () => {
    const constant = Object.freeze({ amount: 1, sentAt: '2026-01-01T00:00:00Z' });
    const [first] = read(
      { revision: 2 },
      upcaster('offer.sent', 2, () => constant),
    );
    expect(first?.event).toMatchObject({ sentAt: new Date('2026-01-01T00:00:00Z') });
    expect(Object.getPrototypeOf(constant)).toBe(Object.prototype);
  });

  it.each<[string, RegExp, Partial<StoredEvent>, Upcaster[]]>([
    ['an upcaster is missing', /no upcaster reads revision 2/, {}, [addCurrency]],
    ['a newer version of the application wrote it', /newer version/, { revision: 4 }, []],
    [
      'an upcaster throws',
      /upcaster threw/,
      {},
      [
        upcaster('offer.sent', 1, () => {
          throw new Error('secret');
        }),
      ],
    ],
    ...[
      undefined,
      null,
      'text',
      [],
      [{}],
      [{ type: 'a', revision: 1, payload: null }],
      Promise.resolve({}),
    ].map((result): [string, RegExp, Partial<StoredEvent>, Upcaster[]] => [
      `an upcaster returns ${JSON.stringify(result)}`,
      /must return a payload or a list/,
      {},
      [upcaster('offer.sent', 1, () => result as object)],
    ]),
    [
      'upcasters lead in a circle',
      /back to this revision/,
      { type: 'a' },
      [
        upcaster('a', 1, (payload) => [{ type: 'b', revision: 1, payload }]),
        upcaster('b', 1, (payload) => [{ type: 'a', revision: 1, payload }]),
      ],
    ],
    [
      'an upcaster returns a million events',
      /make more than 1000 events/,
      { type: 'a' },
      [
        upcaster('a', 1, () =>
          Array.from({ length: 1_000_000 }, () => ({ type: 'b', revision: 1, payload: {} })),
        ),
      ],
    ],
    [
      'upcasters that follow each other double the events',
      /make more than 1000 events/,
      { type: 'a' },
      Array.from({ length: 40 }, (__, at) => {
        const next = { type: at === 39 ? 'offer.printed' : 'a', revision: at === 39 ? 1 : at + 2 };
        return upcaster('a', at + 1, (payload) => [
          { ...next, payload },
          { ...next, payload },
        ]);
      }),
    ],
    [
      'an upcaster is async, and rejects',
      /at once/,
      {},
      [upcaster('offer.sent', 1, () => Promise.reject(new Error('secret')))],
    ],
    [
      'an upcaster returns a list whose items throw',
      /upcaster threw/,
      {},
      [
        upcaster('offer.sent', 1, () => [
          {
            get type(): string {
              throw new Error('secret');
            },
            revision: 2,
            payload: {},
          },
        ]),
      ],
    ],
  ])('fails with type, revision and position if %s', (_, reason, row, upcasters) => {
    const failing = (): unknown => read(row, ...upcasters);
    expect(failing).toThrow(UpcastError);
    expect(failing).toThrow(
      expect.objectContaining({ position: 17, message: expect.stringMatching(reason) }),
    );
    expect(failing).not.toThrow(/secret/);
  });

  it.each([
    ['offer.send', 'offer.sent'],
    ['__proto__', undefined],
  ])('fails for the unknown type %s with its nearest name', (type, nearest) => {
    expect(() => read({ type })).toThrow(UnknownEventTypeError);
    expect(() => read({ type })).toThrow(expect.objectContaining({ type, position: 17, nearest }));
  });
});
