import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import {
  CommandBus,
  CommandHandler,
  EventsHandler,
  ofType,
  Saga,
  type ICommandHandler,
  type IEventHandler,
} from '@nestjs/cqrs';
import { map, type Observable } from 'rxjs';
import type { EntityManager } from 'typeorm';
import { currentMetadata, EventStore, runWithMetadata, type EventRecord } from 'nest-event-store';
import { eventually } from '../../support/eventually.ts';
import { order, OrderPacked, OrderPlaced, OrderShipped, useListener } from './use-listener.ts';

const { newSchema, start } = useListener();

describe('what a handler appends', () => {
  class Pack {
    constructor(readonly item: string) {}
  }

  @CommandHandler(Pack)
  class PackHandler implements ICommandHandler<Pack> {
    constructor(private readonly store: EventStore) {}

    async execute({ item }: Pack): Promise<void> {
      await this.store.append(order(`packed-${item}`), [new OrderPacked(item)]);
    }
  }

  @Injectable()
  class Warehouse {
    @Saga()
    pack = (events: Observable<object>): Observable<Pack> =>
      events.pipe(
        ofType(OrderPlaced),
        map(({ item }) => new Pack(item)),
      );
  }

  @EventsHandler(OrderPacked)
  class Shipper implements IEventHandler<OrderPacked> {
    constructor(private readonly store: EventStore) {}

    async handle({ item }: OrderPacked): Promise<void> {
      await turn();
      await this.store.append(order(`shipped-${item}`), [new OrderShipped(item)]);
    }
  }

  it.each(['own', 'all'] as const)(
    "records what caused it, through sagas and slow handlers ('%s')",
    async (eventBus) => {
      const { application, store } = await start(
        { schema: newSchema(), eventBus, pollIntervalMs: 20 },
        { providers: [PackHandler, Warehouse, Shipper] },
      );
      const correlated = { correlationId: 'request-1' };
      await Promise.all([
        runWithMetadata(correlated, () => store.append(order('o-1'), [new OrderPlaced('lamp')])),
        store.append(order('o-2'), [new OrderPlaced('desk')]),
        application.get(CommandBus).execute(new Pack('rug')),
      ]);
      await eventually(async () => (await store.fetch()).records.length === 8);
      const { records } = await store.fetch();
      const find = (type: string, item: string): EventRecord =>
        records.find(
          (record) => record.type === type && (record.event as OrderPlaced).item === item,
        )!;
      for (const item of ['lamp', 'desk']) {
        const placed = find('order.placed', item);
        const packed = find('order.packed', item);
        const shipped = find('order.shipped', item);
        const { correlationId = placed.id } = placed.metadata;
        expect(packed.metadata).toEqual({ correlationId, causationId: placed.id });
        expect(shipped.metadata).toEqual({ correlationId, causationId: packed.id });
      }
      expect(find('order.placed', 'lamp').metadata).toEqual(correlated);
      expect(find('order.placed', 'desk').metadata).toEqual({});
      const rug = find('order.packed', 'rug');
      expect(rug.metadata).toEqual({});
      expect(find('order.shipped', 'rug').metadata).toEqual({
        correlationId: rug.id,
        causationId: rug.id,
      });
    },
  );

  it('carries the metadata that its command was run with', async () => {
    const { application, store } = await start(
      { schema: newSchema() },
      { providers: [PackHandler] },
    );
    const metadata = { actor: 'ada', correlationId: 'request-2' };
    await runWithMetadata(metadata, () => application.get(CommandBus).execute(new Pack('lamp')));
    const { records } = await store.fetch();
    expect(records.map((record) => record.metadata)).toEqual([metadata]);
    expect(currentMetadata()).toEqual({});
  });

  it('is not inside a transaction that has ended', async () => {
    const ambient = new AsyncLocalStorage<{ manager?: EntityManager }>();
    const { dataSource, store } = await start(
      { schema: newSchema(), transactionManager: () => ambient.getStore()?.manager },
      { providers: [Shipper] },
    );
    // The asynchronous context outlives the transaction, and work that it starts still sees the manager.
    await ambient.run({}, () =>
      dataSource.transaction(async (manager) => {
        Object.assign(ambient.getStore()!, { manager });
        await store.append(order('o-1'), [new OrderPacked('lamp')]);
      }),
    );
    await eventually(async () => (await store.currentVersion(order('shipped-lamp'))) === 1);
  });
});
