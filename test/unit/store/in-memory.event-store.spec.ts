import { describe, expect, it } from '@jest/globals';
import type { EntityManager } from 'typeorm';
import { DomainEvent } from '../../../lib/events/domain-event.decorator.ts';
import { upcaster } from '../../../lib/events/upcaster.ts';
import { trackAppends } from '../../../lib/store/appending/track-appends.ts';
import { checkNoGap } from '../../../lib/store/reading/check-no-gap.ts';
import { InMemoryEventStore } from '../../../lib/store/in-memory/in-memory.event-store.ts';
import { CorruptAggregateError } from '../../../lib/store/store.errors.ts';

@DomainEvent('parcel.sent')
class ParcelSent {
  constructor(readonly to: string) {}
}

@DomainEvent('parcel.sent')
class OtherParcelSent {
  constructor(readonly to: string) {}
}

const parcel = { type: 'parcel', id: 'p-1' };

describe('InMemoryEventStore', () => {
  it('names every problem of its classes', () => {
    class Unnamed {
      readonly to = 'nobody';
    }
    const make = () => new InMemoryEventStore({ events: [ParcelSent, OtherParcelSent, Unnamed] });
    expect(make).toThrow(/'parcel\.sent'[^]*\nThe class Unnamed/);
  });

  it('reports the position of an append to the work around it, for a read after the write', async () => {
    const store = new InMemoryEventStore({ events: [ParcelSent] });
    await trackAppends(async (lastAppended) => {
      await store.append(parcel, [new ParcelSent('Bern'), new ParcelSent('Basel')]);
      expect(lastAppended()).toBe(2);
    });
  });

  it.each([
    [{ allowRemoval: 'false' }, "'allowRemoval' must be true or false"],
    [{ maxAppendEvents: NaN }, "'maxAppendEvents' must be a whole number from 1"],
    [{ codec: {} }, "'codec' must be an EventCodec"],
    [{ onWarning: 5 }, "'onWarning' must be a function"],
    [{ clock: 5 }, "'clock' must be a function"],
    [{ events: ParcelSent }, "'events' must be a list"],
    [{ evnets: [] }, "did you mean 'events'?"],
  ])('refuses the options %p', (options, message) => {
    expect(() => new InMemoryEventStore(options as object)).toThrow(message);
  });

  it('stores an event although its listener throws, and `onWarning` too', async () => {
    const refuse = (): never => {
      throw new Error('on purpose');
    };
    const store = new InMemoryEventStore({ events: [ParcelSent], onWarning: refuse });
    store.onAppended(refuse);
    expect(await store.append(parcel, [new ParcelSent('Bern')])).toMatchObject({ version: 1 });
  });

  it('registers upcasters', () => {
    const upcasters = [upcaster('parcel.sent', 1, (payload) => payload)];
    expect(() => new InMemoryEventStore({ events: [ParcelSent], upcasters })).toThrow(/revision/);
  });

  it('supports no transactions', async () => {
    const store = new InMemoryEventStore({ events: [ParcelSent] });
    const manager = {} as EntityManager;
    const refused = [
      store.append(parcel, [new ParcelSent('Ada')], { manager }),
      store.appendAll([], { manager }),
      store.fetch(0, { manager }),
      store.fetchByAggregate(parcel, 0, { manager }),
      store.fetchHistory(parcel, { manager }),
      store.getSnapshot(parcel, { manager }),
      store.snapshot(parcel, {}, 1, { manager }),
    ];
    for (const outcome of await Promise.allSettled(refused)) {
      expect(outcome).toMatchObject({ reason: { feature: 'transactions' } });
    }
    expect(await store.currentPosition()).toBe(0);
  });

  it('dates appends by the given clock', async () => {
    const now = new Date('2026-11-23T12:00:00Z');
    const store = new InMemoryEventStore({ events: [ParcelSent], clock: () => now });
    await store.append(parcel, [new ParcelSent('Ada')]);
    expect((await store.fetch()).records[0]?.recordedAt).toEqual(now);
  });

  it('warns of snapshots that it leaves out and of listeners that throw', async () => {
    const warnings: unknown[][] = [];
    const store = new InMemoryEventStore({
      events: [ParcelSent],
      onWarning: (...warning) => warnings.push(warning),
    });
    const failure = new Error('out of paper');
    store.onAppended(() => {
      throw failure;
    });
    await store.append(parcel, [new ParcelSent('Ada')]);
    await store.snapshot(parcel, {}, 1);
    await store.getSnapshot(parcel, { revision: 2 });

    expect(warnings).toEqual([
      [expect.stringMatching(/listener/), failure],
      [expect.stringMatching(/parcel\/p-1 at version 1 is ignored: its revision is 1, not 2/)],
    ]);
  });
});

describe('checkNoGap', () => {
  const at = (...versions: number[]) =>
    versions.map((version) => ({ version, position: version * 10 }));

  it('accepts a complete history', () => {
    expect(() => checkNoGap(parcel, 0, [], 0)).not.toThrow();
    expect(() => checkNoGap(parcel, 0, at(1, 2, 3), 3)).not.toThrow();
    expect(() => checkNoGap(parcel, 2, at(3), 3)).not.toThrow();
    expect(() => checkNoGap(parcel, 3, [], 3)).not.toThrow();
    expect(() => checkNoGap(parcel, 9, [], 3)).not.toThrow();
  });

  it.each([
    ['the first event', 0, at(2, 3), 3, 1, 2, 20],
    ['an event in the middle', 0, at(1, 3), 3, 2, 3, 30],
    ['the event after the snapshot', 1, at(3), 3, 2, 3, 30],
    ['the last event', 0, at(1, 2), 3, 3, undefined, undefined],
    ['every event', 0, [], 3, 1, undefined, undefined],
  ])(
    'names %s if it is missing',
    (_, after, stored, version, expectedEventVersion, foundEventVersion, position) => {
      const check = () => checkNoGap(parcel, after, stored, version);
      expect(check).toThrow(CorruptAggregateError);
      expect(check).toThrow(
        expect.objectContaining({ expectedEventVersion, foundEventVersion, position }),
      );
    },
  );
});
