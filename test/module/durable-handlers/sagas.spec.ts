import { describe, expect, it } from '@jest/globals';
import { Injectable, Module, type OnApplicationBootstrap } from '@nestjs/common';
import { CqrsModule, Saga } from '@nestjs/cqrs';
import { concatMap, EMPTY, from, map, tap, throwError, type Observable } from 'rxjs';
import { Consumers, Durable, EventStoreModule, noRetry, On, Projection } from 'nest-event-store';
import { eventually, patiently } from '../../support/eventually.ts';
import { startBare, typeOrm } from '../start-application.ts';
import {
  Notes,
  order,
  OrderPlaced,
  OrderShipped,
  Ship,
  ShipHandler,
  useOrders,
} from './use-orders.ts';

const { database, applications, newSchema, start } = useOrders();

describe('A durable saga', () => {
  it('has its commands executed in order, each awaited, as reactions to the event', async () => {
    @Injectable()
    class Orders {
      @Saga()
      @Durable('shipping', { events: [OrderPlaced] })
      placed(events: Observable<OrderPlaced>): Observable<Ship> {
        return events.pipe(
          concatMap(({ item }) => from([new Ship(`${item} 1`), new Ship(`${item} 2`)])),
        );
      }
    }
    const { place, notes, store } = await start([Orders]);
    await place('shipping', 'lamp', 'desk');
    expect(notes.lines).toEqual(
      ['lamp 1', 'lamp 2', 'desk 1', 'desk 2'].flatMap((item) => [
        `ship ${item}`,
        `shipped ${item}`,
      ]),
    );
    const placed = await store.fetchByAggregate(order('lamp'));
    const shipped = await store.fetchByAggregate(order('shipped-lamp 2'));
    expect(shipped.records[0]!.metadata.causationId).toBe(placed.records[0]!.id);
  });

  it('sees all events of the store unless it names some, and need not react', async () => {
    @Injectable()
    class Orders {
      constructor(readonly notes: Notes) {}

      @Durable('watch')
      @Saga()
      watch = (events: Observable<object>): Observable<Ship> =>
        events.pipe(
          tap((event) => this.notes.lines.push(event.constructor.name)),
          concatMap(() => EMPTY),
        );
    }
    const { store, consumers, notes } = await start([Orders]);
    await store.append(order('1'), [new OrderPlaced('lamp'), new OrderShipped('lamp')]);
    await consumers.waitFor('watch', 2, patiently);
    expect(notes.lines).toEqual(['OrderPlaced', 'OrderShipped']);
  });

  it('fails with its command, and is tried again from the event', async () => {
    @Injectable()
    class Orders {
      @Durable('shipping', {
        events: [OrderPlaced],
        retry: { delayMs: (failures) => (failures > 1 ? undefined : 1) },
      })
      @Saga()
      placed(events: Observable<OrderPlaced>): Observable<Ship> {
        return events.pipe(
          concatMap(({ item }) => from([new Ship(`faulty ${item}`), new Ship(item)])),
        );
      }
    }
    const { place, notes } = await start([Orders]);
    await place('shipping', 'lamp');
    expect(notes.lines).toEqual([
      'ship faulty lamp',
      'ship faulty lamp',
      'shipped faulty lamp',
      'ship lamp',
      'shipped lamp',
    ]);
  });

  it('executes nothing if its observable fails, or if it returns none', async () => {
    const options = { events: [OrderPlaced], retry: noRetry, onFailure: 'skip' } as const;

    @Injectable()
    class Orders {
      @Durable('failing', options)
      @Saga()
      failing(events: Observable<OrderPlaced>): Observable<Ship> {
        return events.pipe(
          concatMap(({ item }, index) => (index === 0 ? from([new Ship(item)]) : EMPTY)),
          (ships) =>
            from([ships, throwError(() => new Error('no more'))]).pipe(concatMap((each) => each)),
        );
      }

      @Durable('returning-nothing', { ...options, onFailure: 'stop' })
      @Saga()
      returningNothing(): void {}
    }
    const { place, notes, consumers } = await start([Orders]);
    await place('failing', 'lamp');
    expect(notes.lines).toEqual([]);
    const reason = await eventually(async () => {
      const { consumers: all } = await consumers.list();
      return all.find(({ name }) => name === 'returning-nothing')?.partitions[0]?.error?.message;
    });
    expect(reason).toContain('InvalidSagaError: The saga Orders.returningNothing');
  });

  it('is not on the bus, where the other sagas of its class stay', async () => {
    @Injectable()
    class Orders {
      constructor(readonly notes: Notes) {}

      @Durable('durable')
      @Saga()
      durable(events: Observable<object>): Observable<Ship> {
        return this.#note('durable', events);
      }

      @Saga()
      volatile(events: Observable<object>): Observable<Ship> {
        return this.#note('volatile', events);
      }

      #note(saga: string, events: Observable<object>): Observable<Ship> {
        return events.pipe(
          tap(() => this.notes.lines.push(saga)),
          concatMap(() => EMPTY),
        );
      }
    }
    const { place, notes } = await start([Orders]);
    await place('durable', 'lamp');
    expect(notes.lines.sort()).toEqual(['durable', 'volatile']);
  });

  it('finds the handlers of its commands even for events from before the start', async () => {
    @Injectable()
    class Orders {
      @Durable('shipping', { events: [OrderPlaced], from: 'start', retry: noRetry })
      @Saga()
      placed(events: Observable<OrderPlaced>): Observable<Ship> {
        return events.pipe(map(({ item }) => new Ship(item)));
      }
    }
    let warmUp!: () => void;
    const warm = new Promise<void>((resolve) => (warmUp = resolve));

    @Injectable()
    class Warming implements OnApplicationBootstrap {
      async onApplicationBootstrap(): Promise<void> {
        await warm;
      }
    }
    @Module({ providers: [Warming] })
    class WarmingModule {}

    // Nest initializes the deepest imports first: this module before CqrsModule.
    @Module({ imports: [WarmingModule] })
    class DeepModule {}

    // Projections do not wait: this one shows how far the runners of the application are.
    @Projection('runner')
    class RunnerProbe {
      @On(OrderPlaced)
      placed(): void {}
    }
    const schema = newSchema();
    const before = await start([], { schema });
    await before.store.append(order('1'), [new OrderPlaced('lamp')]);
    const starting = startBare({
      imports: [
        EventStoreModule.forRoot({ schema }),
        EventStoreModule.forFeature({ events: [OrderPlaced, OrderShipped] }),
        typeOrm(await database.dataSource()),
        DeepModule,
        CqrsModule,
      ],
      providers: [Notes, ShipHandler, Orders, RunnerProbe],
    });
    await eventually(async () => {
      await before.consumers.waitFor('runner', 1, patiently);
      return true;
    });
    warmUp();
    const application = await starting;
    applications.push(application);
    await application.get(Consumers).waitFor('shipping', 1, patiently);
    expect(application.get(Notes).lines).toEqual(['ship lamp', 'shipped lamp']);
  });
});
