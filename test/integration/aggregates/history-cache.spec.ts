import { afterAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { AggregateRoot } from '@nestjs/cqrs';
import { Aggregate, AggregateNotFoundError, DomainEvent, everyNEvents } from 'nest-event-store';
import { AggregateRepositories } from '../../../lib/aggregates/aggregate-repositories.ts';
import { EventStore } from '../../../lib/store/event-store.ts';
import { openStore } from '../../support/store.ts';
import { Basket, ItemAdded, useBaskets } from './use-baskets.ts';

const given = useBaskets();
const { repositoryOf, ref, snapshotVersion, filled, withoutProtection } = given;

describe('a history in memory', () => {
  // A correct method never does this: it changes the state without an event.
  const disturb = (basket: Basket): void => {
    basket.items['disturbed'] = 1;
  };
  const items = (basket: Basket) => ({ ...basket.items });
  const reading = jest.spyOn(EventStore.prototype, 'fetchHistory');
  /** The version after which each read of this test's aggregate began; `undefined` for a full read. */
  const reads = () =>
    reading.mock.calls
      .filter(([{ id: read }]) => read === given.id)
      .map(([, options]) => options?.after);

  beforeEach(async () => {
    await filled('pen');
    reading.mockClear();
  });
  afterAll(() => reading.mockRestore());

  it('serves the next execute, which reads only what came later', async () => {
    await given.baskets.execute(given.id, (basket) => basket.add('ink'));
    await given.store.append(ref(), [new ItemAdded('other')]);
    const { result } = await given.baskets.execute(given.id, items);
    expect(result).toEqual({ pen: 1, ink: 1, other: 1 });
    await given.baskets.execute(given.id, items);
    expect(reads()).toEqual([undefined, 1, 3]);
    expect((await given.baskets.load(given.id)).items).toEqual(result);
  });

  it('gives every work an instance of its own', async () => {
    const seen = new Set<Basket>();
    const work = async (basket: Basket) => {
      seen.add(basket);
      await given.store.currentVersion(ref());
      basket.add('each');
    };
    await Promise.all(
      Array.from({ length: 12 }, () => given.baskets.execute(given.id, work, { retries: 50 })),
    );
    expect(seen.size).toBeGreaterThanOrEqual(12);
    expect((await given.baskets.load(given.id)).items).toEqual({ pen: 1, each: 12 });
  });

  it('keeps no change that a work made without an event', async () => {
    await given.baskets.execute(given.id, disturb);
    expect((await given.baskets.execute(given.id, items)).result).toEqual({ pen: 1 });
    await given.baskets.execute(given.id, (basket) => {
      disturb(basket);
      basket.add('ink');
    });
    expect((await given.baskets.execute(given.id, items)).result).toEqual({ pen: 1, ink: 1 });
    expect(reads()).toEqual([undefined, 1, 1, 1]);
  });

  it('keeps no change that a work made to a value of a snapshot or of an event', async () => {
    @DomainEvent('basket.packed')
    class Packed {
      constructor(readonly labels: string[]) {}
    }
    @Aggregate('packed-basket', { snapshots: everyNEvents(2) })
    class PackedBasket extends AggregateRoot<object> {
      labels: string[] = [];

      constructor(readonly id: string) {
        super();
      }

      // The very list of the event becomes part of the state.
      onPacked({ labels }: Packed): void {
        if (labels.length > 0) this.labels = labels;
      }
    }
    const packing = await openStore(given.dataSource, { events: [Packed] });
    const packed = new AggregateRepositories(packing, {
      cacheSize: 10,
      onWarning: () => undefined,
    }).of(PackedBasket);
    const basket = new PackedBasket(given.id);
    basket.apply(new Packed(['b', 'a']));
    await packed.save(basket);
    const labels = async () => (await packed.execute(given.id, (each) => [...each.labels])).result;
    for (const sorting of [1, 2, 3, 4]) {
      await packed.execute(given.id, (each) => {
        each.labels.sort();
        // The second one is due for a snapshot.
        if (sorting === 2) each.apply(new Packed([]));
      });
      expect(await labels()).toEqual(['b', 'a']);
    }
    const snapshot = await packing.getSnapshot(ref('packed-basket'));
    expect(snapshot).toEqual({ version: 2, state: { labels: ['b', 'a'] } });
  });

  it('survives a work or a save that fails, without any of its changes', async () => {
    const failed = given.baskets.execute(given.id, (basket) => {
      basket.add('ink');
      throw new Error('on purpose');
    });
    await expect(failed).rejects.toThrow('on purpose');
    const refused = given.baskets.execute(given.id, (basket) => basket.add('too many', Number.NaN));
    await expect(refused).rejects.toMatchObject({ code: 'INVALID_EVENT' });
    expect((await given.baskets.execute(given.id, items)).result).toEqual({ pen: 1 });
    expect(reads()).toEqual([undefined, 1, 1]);
  });

  it('leaves out events that were applied during a save, which only that instance may save', async () => {
    const instances: Basket[] = [];
    const append = given.store.append.bind(given.store);
    const late = jest.spyOn(given.store, 'append').mockImplementationOnce((...call) => {
      instances[0]!.add('late');
      return append(...call);
    });
    await given.baskets.execute(given.id, (basket) => {
      instances.push(basket);
      basket.add('noted');
    });
    late.mockRestore();
    expect(instances[0]!.getUncommittedEvents()).toEqual([new ItemAdded('late')]);
    const { result, version } = await given.baskets.execute(given.id, items);
    expect([result, version]).toEqual([{ pen: 1, noted: 1 }, 2]);
  });

  it('is not served once its events are removed, nor with new events after that', async () => {
    await given.baskets.execute(given.id, items);
    await given.store.removeEvents(ref());
    await expect(given.baskets.execute(given.id, items)).rejects.toThrow(AggregateNotFoundError);
    await given.store.append(ref(), [new ItemAdded('after')]);
    const { result, version } = await given.baskets.execute(given.id, items);
    expect([result, version]).toEqual([{ after: 1 }, 2]);
    expect(reads()).toEqual([undefined, 1, undefined, undefined]);
  });

  it.each([
    ['as many', 1],
    ['more', 3],
    ['fewer', 0],
  ])('is not served when the log holds other events in their place: %s', async (_, real) => {
    await given.store.append(ref(), [new ItemAdded('lost', 2_000)]);
    expect((await given.baskets.execute(given.id, items)).result).toEqual({ pen: 1, lost: 2_000 });
    // The effect of a restore, or of a failover to an asynchronous standby.
    await withoutProtection(`
      DELETE FROM event_store.domain_events WHERE version > 1
        AND aggregate_key = (SELECT key FROM event_store.aggregates WHERE id = '${given.id}');
      UPDATE event_store.aggregates SET version = 1 WHERE id = '${given.id}'`);
    for (let n = 0; n < real; n++) await given.store.append(ref(), [new ItemAdded('real', 5)]);
    const { result } = await given.baskets.execute(given.id, items);
    expect(result).toEqual({ pen: 1, ...(real > 0 && { real: 5 * real }) });
    expect(reads()).toEqual([undefined, 2, undefined]);
  });

  it('is not served when the log holds other events, even if it was only a snapshot', async () => {
    for (const item of ['ink', 'paper'])
      await given.baskets.execute(given.id, (basket) => basket.add(item));
    expect(await snapshotVersion()).toBe(3);
    reading.mockClear();
    await given.baskets.execute(given.id, items);
    await withoutProtection(`
      UPDATE event_store.domain_events SET event_id = gen_random_uuid(),
        payload = '{"item": "real", "quantity": 1}' WHERE version > 1
        AND aggregate_key = (SELECT key FROM event_store.aggregates WHERE id = '${given.id}');
      UPDATE event_store.aggregates SET snapshot_version = NULL,
        snapshot_revision = NULL, snapshot_state = NULL, snapshot_taken_at = NULL
        WHERE id = '${given.id}'`);
    expect((await given.baskets.execute(given.id, items)).result).toEqual({ pen: 1, real: 2 });
    expect(reads()).toEqual([undefined, 3, undefined]);
  });

  it('is never kept with a cache of size 0', async () => {
    const uncached = repositoryOf(Basket, 0);
    await uncached.execute(given.id, items);
    await uncached.execute(given.id, items);
    expect(reads()).toEqual([undefined, undefined]);
  });

  it('is evicted by histories that are used later', async () => {
    const small = repositoryOf(Basket, 1);
    await small.execute(given.id, items);
    const other = new Basket(`${given.id}-other`);
    other.add('pen');
    await small.save(other);
    await small.execute(other.id, items);
    await small.execute(given.id, items);
    expect(reads()).toEqual([undefined, undefined]);
  });
});
