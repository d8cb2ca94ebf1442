import { describe, expect, it } from '@jest/globals';
import { EventBus, EventsHandler, UnhandledExceptionBus, type IEventHandler } from '@nestjs/cqrs';
import { EventData, recordOf, type EventRecord } from 'nest-event-store';
import { eventually } from '../../support/eventually.ts';
import { order, OrderPacked, OrderPlaced, OrderShipped, useListener } from './use-listener.ts';

const { newSchema, start } = useListener();

describe("eventBus: 'own'", () => {
  it('hands handlers the same instances that were appended, with their records', async () => {
    const { store, heard } = await start({ schema: newSchema() });
    const placed = new OrderPlaced('lamp');
    const { records } = await store.append(order('o-1'), [placed], { metadata: { actor: 'ada' } });
    expect(heard.events).toHaveLength(1);
    expect(heard.events[0]).toBe(placed);
    const record = recordOf(placed);
    expect(record).toBe(records[0]);
    expect(record).toMatchObject({
      aggregate: order('o-1'),
      version: 1,
      position: 1,
      type: 'order.placed',
      metadata: { actor: 'ada' },
    });
  });

  it('publishes in the order of commit, each once, however many append at once', async () => {
    const { store, heard } = await start({ schema: newSchema() });
    await Promise.all(
      Array.from({ length: 60 }, (_, n) =>
        store.append(order(`o-${n % 7}`), [new OrderPlaced(`${n}a`), new OrderPacked(`${n}b`)]),
      ),
    );
    await store.appendAll([
      { aggregate: order('o-1'), events: [new OrderShipped('x')] },
      { aggregate: order('o-2'), events: [new OrderShipped('y')] },
    ]);
    expect(heard.positions).toEqual(Array.from({ length: 122 }, (_, n) => n + 1));
  });

  it('publishes nothing before its commit, and nothing of a refused append', async () => {
    const { store, heard, dataSource } = await start({ schema: newSchema() });
    const visible: boolean[] = [];
    const look = async (appended: EventRecord): Promise<void> => {
      const { records } = await store.fetchByAggregate(appended.aggregate);
      visible.push(records.some(({ id }) => id === appended.id));
    };
    store.onAppended(([appended]) => void look(appended!));
    await store.append(order('o-1'), [new OrderPlaced('lamp')]);
    await dataSource.transaction((manager) =>
      store.append(order('o-2'), [new OrderPlaced('desk')], { manager }),
    );
    await eventually(() => visible.length === 2);
    expect(visible).toEqual([true, true]);

    const late = store.append(order('o-1'), [new OrderPlaced('late')], { expectedVersion: 7 });
    await expect(late).rejects.toMatchObject({ code: 'WRONG_EXPECTED_VERSION' });
    expect(heard.items).toEqual(['lamp', 'desk']);
  });

  it('publishes a repeated append once', async () => {
    const { store, heard, dataSource } = await start({ schema: newSchema() });
    const placed = () => [
      new EventData(new OrderPlaced('lamp'), { id: '0197a0c8-7f00-7000-8000-000000000001' }),
    ];
    await store.append(order('o-1'), placed());
    await store.append(order('o-1'), placed());
    const again = await dataSource.transaction((manager) =>
      store.append(order('o-1'), placed(), { manager }),
    );
    expect(again.duplicate).toBe(true);
    expect(heard.items).toEqual(['lamp']);
  });

  it('does not fail an append because of a handler that throws or rejects', async () => {
    @EventsHandler(OrderPlaced)
    class Throwing implements IEventHandler<OrderPlaced> {
      handle({ item }: OrderPlaced): Promise<void> {
        if (item === 'throw') throw new Error('thrown on purpose');
        return Promise.reject(new Error('rejected on purpose'));
      }
    }
    const { application, store, heard } = await start(
      { schema: newSchema() },
      { providers: [Throwing] },
    );
    const unhandled: unknown[] = [];
    application.get(UnhandledExceptionBus).subscribe(({ exception }) => unhandled.push(exception));
    for (const item of ['throw', 'reject', 'fine']) {
      const { version } = await store.append(order(item), [new OrderPlaced(item)]);
      expect(version).toBe(1);
    }
    await eventually(() => unhandled.length === 3);
    expect(heard.items).toEqual(['throw', 'reject', 'fine']);
  });

  it('does not fail an append because of a bus that throws', async () => {
    const { application, store, heard } = await start({ schema: newSchema() });
    application.get(EventBus).publisher = {
      publish: () => {
        throw new Error('thrown on purpose');
      },
    };
    await store.append(order('o-1'), [new OrderPlaced('lamp'), new OrderPacked('lamp')]);
    expect((await store.fetchByAggregate(order('o-1'))).records).toHaveLength(2);
    expect(heard.events).toEqual([]);
  });
});

describe("eventBus: 'off'", () => {
  it('publishes nothing', async () => {
    const schema = newSchema();
    const { store, heard, dataSource } = await start({ schema, eventBus: 'off' });
    const other = await start({ schema, eventBus: 'all', pollIntervalMs: 20 });
    await store.append(order('o-1'), [new OrderPlaced('lamp')]);
    await dataSource.transaction((manager) =>
      store.append(order('o-1'), [new OrderPlaced('desk')], { manager }),
    );
    await eventually(() => other.heard.events.length === 2);
    expect(heard.events).toEqual([]);
  });
});
