import { describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { EventsHandler, type IEventHandler } from '@nestjs/cqrs';
import {
  currentMetadata,
  DomainEvent,
  runWithMetadata,
  type EventStoreOptions,
} from 'nest-event-store';
import { eventually } from '../../support/eventually.ts';
import { order, OrderPacked, OrderPlaced, OrderShipped, useListener } from './use-listener.ts';

const { newSchema, start } = useListener();

describe("eventBus: 'all'", () => {
  const options = (schema: string): EventStoreOptions => ({
    schema,
    eventBus: 'all',
    pollIntervalMs: 20,
  });

  it('delivers all events to both applications, in log order, once, from now on', async () => {
    const schema = newSchema();
    const { store: earlier } = await start({ schema, eventBus: 'off' });
    await earlier.append(order('o-0'), [new OrderPlaced('before')]);
    const [one, two] = await Promise.all([start(options(schema)), start(options(schema))]);

    await Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        [one, two, { store: earlier }][n % 3]!.store.append(order(`o-${n % 5}`), [
          new OrderPlaced(String(n)),
        ]),
      ),
    );
    const { records } = await earlier.fetch(1);
    const positions = records.map((record) => record.position);
    for (const { heard } of [one, two]) {
      await eventually(() => heard.events.length >= 40);
      expect(heard.positions).toEqual(positions);
      expect(new Set(heard.items).size).toBe(40);
    }
  });

  it('waits for an open transaction, and skips nothing', async () => {
    const { store, heard, dataSource } = await start(options(newSchema()));
    await dataSource.transaction(async (manager) => {
      await store.append(order('slow'), [new OrderPlaced('slow')], { manager });
      await store.append(order('fast'), [new OrderPlaced('fast')]);
      const reads = jest.spyOn(store.log, 'readOn');
      await eventually(() => reads.mock.calls.length > 2);
      expect(heard.items).toEqual([]);
    });
    await eventually(() => heard.events.length === 2);
    expect(heard.items).toEqual(['slow', 'fast']);
  });

  it('passes over events of types that only another application knows', async () => {
    const schema = newSchema();
    const narrow = await start(options(schema), { events: [OrderPlaced] });
    const wide = await start(options(schema));
    await wide.store.append(order('o-1'), [
      new OrderPacked('unknown'),
      new OrderPlaced('known'),
      new OrderShipped('unknown'),
    ]);
    await wide.store.append(order('o-1'), [new OrderPlaced('later')]);
    await eventually(() => wide.heard.events.length === 4 && narrow.heard.events.length === 2);
    expect(narrow.heard.items).toEqual(['known', 'later']);
    expect(wide.heard.items).toEqual(['unknown', 'known', 'unknown', 'later']);
  });

  it('gives handlers the metadata of the event, not that of a later append', async () => {
    const surroundings: object[] = [];
    @EventsHandler(OrderPlaced)
    class Observer implements IEventHandler<OrderPlaced> {
      handle(): void {
        surroundings.push(currentMetadata());
      }
    }
    const schema = newSchema();
    const { store: elsewhere } = await start({ schema, eventBus: 'off' });
    const { store } = await start(
      { schema, eventBus: 'all', pollIntervalMs: 60_000 },
      { providers: [Observer] },
    );
    const { records } = await elsewhere.append(order('o-1'), [new OrderPlaced('lamp')]);
    await runWithMetadata({ actor: 'ada' }, () =>
      store.append(order('o-2'), [new OrderPacked('desk')]),
    );
    await eventually(() => surroundings.length === 1);
    const { id } = records[0]!;
    expect(surroundings).toEqual([{ correlationId: id, causationId: id }]);
  });

  it('leaves out an event that only a newer application can read, and logs that', async () => {
    @DomainEvent('order.packed', { revision: 2 })
    class NewerPacked {
      constructor(readonly item: string) {}
    }
    const schema = newSchema();
    const { store, heard } = await start(options(schema));
    const newer = await start({ schema, eventBus: 'off' }, { events: [NewerPacked] });
    const logged = jest.spyOn(Logger.prototype, 'error');
    await store.append(order('o-1'), [new OrderPlaced('lamp')]);
    await newer.store.append(order('o-1'), [new NewerPacked('lamp')]);
    await store.append(order('o-1'), [new OrderShipped('lamp'), new OrderShipped('shade')]);
    await eventually(() => heard.positions.length === 3);
    expect(heard.positions).toEqual([1, 3, 4]);
    expect(logged.mock.calls).toEqual([
      [
        'An event cannot be read and does not reach the EventBus.',
        expect.objectContaining({ code: 'UPCAST', position: 2 }),
      ],
    ]);
    logged.mockRestore();
  });

  it('continues after an error', async () => {
    const schema = newSchema();
    const { store, heard, dataSource } = await start(options(schema));
    const logged = jest.spyOn(Logger.prototype, 'error');
    await dataSource.query(`ALTER TABLE ${schema}.domain_events RENAME TO hidden`);
    await eventually(() => logged.mock.calls.length > 0);
    expect(logged.mock.calls[0]).toEqual([
      'The log could not be read for the EventBus; trying again.',
      expect.objectContaining({ code: 'SCHEMA_MISMATCH' }),
    ]);
    logged.mockRestore();
    await dataSource.query(`ALTER TABLE ${schema}.hidden RENAME TO domain_events`);
    await store.append(order('o-1'), [new OrderPlaced('lamp')]);
    await eventually(() => heard.events.length === 1);
  });
});
