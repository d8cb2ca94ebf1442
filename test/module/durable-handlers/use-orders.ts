import { setImmediate as turn } from 'node:timers/promises';
import type { ModuleMetadata } from '@nestjs/common';
import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import type { TestingModule } from '@nestjs/testing';
import {
  Consumers,
  currentDelivery,
  DomainEvent,
  EventStore,
  EventStoreModule,
  type EventClass,
  type EventStoreOptions,
} from 'nest-event-store';
import { patiently } from '../../support/eventually.ts';
import { startApplication } from '../start-application.ts';
import { useApplications } from '../use-applications.ts';

@DomainEvent('order.placed')
export class OrderPlaced {
  constructor(readonly item: string) {}
}

@DomainEvent('order.shipped')
export class OrderShipped {
  constructor(readonly item: string) {}
}

export const order = (id: string) => ({ type: 'order', id });

/** What the handlers of an application have noted, in order. */
export class Notes {
  readonly lines: string[] = [];
}

export class Ship {
  constructor(readonly item: string) {}
}

@CommandHandler(Ship)
export class ShipHandler implements ICommandHandler<Ship> {
  constructor(
    readonly notes: Notes,
    readonly store: EventStore,
  ) {}

  async execute({ item }: Ship): Promise<void> {
    this.notes.lines.push(`ship ${item}`);
    await turn();
    if (item.startsWith('faulty') && currentDelivery()?.attempt === 1)
      throw new Error(`no ${item}`);
    await this.store.append(order(`shipped-${item}`), [new OrderShipped(item)]);
    this.notes.lines.push(`shipped ${item}`);
  }
}

export interface Started {
  readonly application: TestingModule;
  readonly store: EventStore;
  readonly consumers: Consumers;
  readonly notes: Notes;
  /** Appends an order for each item and waits until the consumer has finished them. */
  place(consumer: string, ...items: string[]): Promise<void>;
}

/** Starts applications in which orders are placed and shipped. */
export function useOrders() {
  const { database, applications, newSchema } = useApplications();

  async function start(
    providers: NonNullable<ModuleMetadata['providers']>,
    {
      events = [OrderPlaced, OrderShipped],
      ...options
    }: EventStoreOptions & { events?: EventClass[] } = {},
  ): Promise<Started> {
    const application = await startApplication(await database.dataSource(), {
      imports: [
        EventStoreModule.forRoot({ schema: newSchema(), ...options }),
        EventStoreModule.forFeature({ events }),
      ],
      providers: [Notes, ShipHandler, ...providers],
    });
    applications.push(application);
    const store = application.get(EventStore);
    const consumers = application.get(Consumers);
    return {
      application,
      store,
      consumers,
      notes: application.get(Notes),
      async place(consumer, ...items) {
        for (const item of items) await store.append(order(item), [new OrderPlaced(item)]);
        await consumers.waitFor(consumer, await store.currentPosition(), patiently);
      },
    };
  }

  return { database, applications, newSchema, start };
}
