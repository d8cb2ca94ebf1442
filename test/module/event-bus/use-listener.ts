import type { ModuleMetadata } from '@nestjs/common';
import { EventsHandler, type IEventHandler } from '@nestjs/cqrs';
import type { TestingModule } from '@nestjs/testing';
import type { DataSource } from 'typeorm';
import {
  DomainEvent,
  EventStore,
  EventStoreModule,
  recordOf,
  type EventClass,
  type EventStoreOptions,
} from 'nest-event-store';
import { startApplication } from '../start-application.ts';
import { useApplications } from '../use-applications.ts';

@DomainEvent('order.placed')
export class OrderPlaced {
  constructor(readonly item: string) {}
}

@DomainEvent('order.packed')
export class OrderPacked {
  constructor(readonly item: string) {}
}

@DomainEvent('order.shipped')
export class OrderShipped {
  constructor(readonly item: string) {}
}

export const order = (id: string) => ({ type: 'order', id });

/** The events that the handlers of an application have received, in order. */
export class Heard {
  readonly events: object[] = [];

  get items(): string[] {
    return this.events.map((event) => (event as OrderPlaced).item);
  }

  get positions(): (number | undefined)[] {
    return this.events.map((event) => recordOf(event)?.position);
  }
}

@EventsHandler(OrderPlaced, OrderPacked, OrderShipped)
export class Listener implements IEventHandler {
  constructor(readonly heard: Heard) {}

  handle(event: object): void {
    this.heard.events.push(event);
  }
}

export interface Started {
  readonly application: TestingModule;
  readonly dataSource: DataSource;
  readonly store: EventStore;
  readonly heard: Heard;
}

/** Starts applications that record the events of their handlers. */
export function useListener() {
  const { database, applications, newSchema } = useApplications();

  async function start(
    options: EventStoreOptions,
    {
      events = [OrderPlaced, OrderPacked, OrderShipped],
      providers = [],
    }: { events?: EventClass[] } & Pick<ModuleMetadata, 'providers'> = {},
  ): Promise<Started> {
    const dataSource = await database.dataSource();
    const application = await startApplication(dataSource, {
      imports: [EventStoreModule.forRoot(options), EventStoreModule.forFeature({ events })],
      providers: [Heard, Listener, ...providers],
    });
    applications.push(application);
    const store = application.get(EventStore);
    return { application, dataSource, store, heard: application.get(Heard) };
  }

  return { database, applications, newSchema, start };
}
