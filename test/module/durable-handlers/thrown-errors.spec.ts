import { setImmediate as turn } from 'node:timers/promises';
import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { EventsHandler, Saga, UnhandledExceptionBus, type IEventHandler } from '@nestjs/cqrs';
import { map, type Observable } from 'rxjs';
import { Durable, noRetry, On, Projection, type DurableOptions } from 'nest-event-store';
import { patiently } from '../../support/eventually.ts';
import { OrderPlaced, Ship, useOrders } from './use-orders.ts';

const { start } = useOrders();

describe('What a durable handler or a saga throws', () => {
  const settings = { retry: { delayMs: (failures: number) => (failures > 1 ? undefined : 1) } };

  it('goes to the UnhandledExceptionBus at every attempt, with its cause', async () => {
    const lamp = new Error('no lamp');
    const chair = new Error('no chair');

    @Durable('letters', { ...settings, onFailure: 'skip' })
    @EventsHandler(OrderPlaced)
    class Letters implements IEventHandler<OrderPlaced> {
      async handle({ item }: OrderPlaced): Promise<void> {
        await turn();
        if (item === 'lamp') throw lamp;
      }
    }
    @Injectable()
    class Orders {
      @Durable('shipping', { ...settings, events: [OrderPlaced], onFailure: 'skip' })
      @Saga()
      placed(events: Observable<OrderPlaced>): Observable<Ship> {
        return events.pipe(
          map(({ item }) => {
            if (item === 'chair') throw chair;
            return new Ship(item === 'desk' ? 'faulty desk' : item);
          }),
        );
      }
    }
    const { application, place, consumers, store } = await start([Letters, Orders]);
    const infos: unknown[] = [];
    application.get(UnhandledExceptionBus).subscribe((info) => infos.push(info));
    await place('letters', 'lamp', 'desk', 'chair');
    await consumers.waitFor('shipping', await store.currentPosition(), patiently);
    const failed = (cause: object, exception: Error) => ({ cause, exception });
    expect(infos).toHaveLength(5);
    expect(infos).toEqual(
      expect.arrayContaining([
        failed(new OrderPlaced('lamp'), lamp),
        failed(new Ship('faulty desk'), new Error('no faulty desk')),
        failed(new OrderPlaced('chair'), chair),
      ]),
    );
  });

  it('is a failure like any other if the UnhandledExceptionBus fails as well', async () => {
    @Durable('letters', { retry: noRetry, onFailure: 'park' })
    @EventsHandler(OrderPlaced)
    class Letters implements IEventHandler<OrderPlaced> {
      handle(): void {
        throw new Error('from the handler');
      }
    }
    const { application, place, consumers } = await start([Letters]);
    application.get(UnhandledExceptionBus).publisher = {
      publish: ({ cause }) => {
        const error = new Error('from the publisher');
        if ((cause as OrderPlaced).item === 'lamp') throw error;
        return Promise.reject(error);
      },
    };
    await place('letters', 'lamp', 'desk');
    const parked = await consumers.parked('letters');
    expect(parked.map(({ failure }) => failure.message)).toEqual([
      'Error: from the handler',
      'Error: from the handler',
    ]);
  });

  it('is passed to the policy and stored, even if it cannot be read', async () => {
    const revoked = Proxy.revocable(new Error(), {});
    revoked.revoke();
    const without = (member: string, value?: unknown): Error =>
      Object.defineProperty(new Error('unreadable'), member, {
        get: () => {
          if (value !== undefined) return value;
          throw new Error('thrown by a getter');
        },
      });
    const uninspectable = Object.assign(new Error('uninspectable'), {
      [inspect.custom]: () => {
        throw new Error('thrown while it is inspected');
      },
    });
    const thrown: [unknown, string][] = [
      [Object.create(null), 'Error: [object Object]'],
      [Symbol('odd'), 'Error: Symbol(odd)'],
      [undefined, 'Error: undefined'],
      [null, 'Error: null'],
      ['text', 'Error: text'],
      [{ name: 'Refused', message: 'no' }, 'Refused: no'],
      [revoked.proxy, 'Error: a value that cannot be read'],
      [without('message'), 'Error: [object Error]'],
      [without('message', Symbol('odd')), 'Error: [object Error]'],
      [without('name'), 'Error: unreadable'],
      [without('toString'), 'Error: unreadable'],
      [without('code'), 'Error: unreadable'],
      [without('stack'), 'Error: unreadable'],
      [uninspectable, 'Error: uninspectable'],
    ];
    const asked: number[] = [];
    const options: DurableOptions = {
      onFailure: 'park',
      retry: {
        delayMs: (failures) => {
          asked.push(failures);
          return failures > 1 ? undefined : 1;
        },
      },
    };
    @Durable('letters', options)
    @EventsHandler(OrderPlaced)
    class Letters implements IEventHandler<OrderPlaced> {
      handle({ item }: OrderPlaced): void {
        throw thrown[Number(item)]![0];
      }
    }
    @Projection('read-model', options)
    class ReadModel {
      @On(OrderPlaced)
      placed({ item }: OrderPlaced): void {
        throw thrown[Number(item)]![0];
      }
    }
    const { place, consumers, store } = await start([Letters, ReadModel]);
    await place('letters', ...Object.keys(thrown));
    await consumers.waitFor('read-model', await store.currentPosition(), patiently);
    for (const name of ['letters', 'read-model']) {
      const parked = await consumers.parked(name);
      expect(parked.map(({ failure }) => failure.message)).toEqual(
        thrown.map(([, message]) => message),
      );
    }
    expect(asked.filter((failures) => failures === 2)).toHaveLength(2 * thrown.length);
  });
});
