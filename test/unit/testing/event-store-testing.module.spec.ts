import { describe, expect, it } from '@jest/globals';
import { Injectable, Module } from '@nestjs/common';
import { AggregateRoot, CqrsModule, EventsHandler, type IEventHandler } from '@nestjs/cqrs';
import { Test } from '@nestjs/testing';
import {
  Aggregate,
  type AggregateRepository,
  Consumers,
  DomainEvent,
  Durable,
  EventStore,
  EventStoreConfigurationError,
  EventStoreModule,
  everyNEvents,
  getAggregateRepositoryToken,
  getEventStoreToken,
  InjectAggregateRepository,
  InMemoryEventStore,
  InvalidEventError,
  On,
  Projection,
  recordOf,
} from 'nest-event-store';
import { drain, EventStoreTestingModule } from 'nest-event-store/testing';

@DomainEvent('ticket.opened')
class TicketOpened {
  constructor(readonly subject: string) {}
}

@Aggregate('ticket', { snapshots: everyNEvents(2) })
class Ticket extends AggregateRoot<object> {
  readonly subjects: string[] = [];

  constructor(readonly id: string) {
    super();
  }

  onTicketOpened(event: TicketOpened): void {
    this.subjects.push(event.subject);
  }
}

@Injectable()
class Desk {
  constructor(@InjectAggregateRepository(Ticket) readonly tickets: AggregateRepository<Ticket>) {}
}

@EventsHandler(TicketOpened)
class Board implements IEventHandler<TicketOpened> {
  readonly lines: string[] = [];

  handle(event: TicketOpened): void {
    this.lines.push(`${recordOf(event)?.version} ${event.subject}`);
  }
}

@Module({
  imports: [EventStoreModule.forFeature({ aggregates: [Ticket], events: [TicketOpened] })],
  providers: [Desk, Board],
})
class TicketsModule {}

async function boot(...imports: NonNullable<Parameters<typeof Module>[0]['imports']>) {
  const module = await Test.createTestingModule({
    imports: [CqrsModule.forRoot(), ...imports],
  }).compile();
  await module.init();
  return module;
}

describe('EventStoreTestingModule', () => {
  it('serves the modules of an application from memory', async () => {
    const module = await boot(EventStoreTestingModule.forRoot(), TicketsModule);
    const { tickets } = module.get(Desk, { strict: false });
    const store = module.get(EventStore, { strict: false });
    expect(store).toBeInstanceOf(InMemoryEventStore);

    const ticket = new Ticket('t-1');
    ticket.apply(new TicketOpened('Printer'));
    ticket.apply(new TicketOpened('Scanner'));
    expect(await tickets.save(ticket)).toMatchObject({ version: 2 });

    expect((await tickets.load('t-1')).subjects).toEqual(['Printer', 'Scanner']);
    expect(await store.getSnapshot({ type: 'ticket', id: 't-1' })).toMatchObject({ version: 2 });
    expect(module.get(Board, { strict: false }).lines).toEqual(['1 Printer', '2 Scanner']);
    await module.close();
  });

  it('takes the options of the real module', async () => {
    const module = await boot(
      EventStoreTestingModule.forRootAsync({
        store: 'archive',
        useFactory: () => ({ maxDepth: 2, migrations: 'off' as const }),
      }),
      EventStoreTestingModule.forFeature(
        { aggregates: [Ticket], events: [TicketOpened] },
        { store: 'archive' },
      ),
    );
    const store = module.get<EventStore>(getEventStoreToken('archive'), { strict: false });
    const deep = new TicketOpened([[['deep']]] as unknown as string);
    const append = store.append({ type: 'ticket', id: 't-1' }, [deep]);
    await expect(append).rejects.toThrow(InvalidEventError);
    const repository = module.get(getAggregateRepositoryToken(Ticket, 'archive'), {
      strict: false,
    });
    expect(await repository.find('t-1')).toBeNull();
    await module.close();
  });

  it('reports problems as the real module does', async () => {
    class Nameless {
      readonly subject = 'none';
    }
    const boots = boot(
      EventStoreTestingModule.forRoot({ maxDepth: 0 }),
      EventStoreModule.forFeature({ events: [Nameless] }),
    );
    await expect(boots).rejects.toThrow(EventStoreConfigurationError);
    await expect(boots).rejects.toThrow(/maxDepth[^]*Nameless/);
  });

  it('gives every application a log of its own', async () => {
    const one = await boot(EventStoreTestingModule.forRoot(), TicketsModule);
    const two = await boot(EventStoreTestingModule.forRoot(), TicketsModule);
    const ticket = { type: 'ticket', id: 't-1' };
    await one.get(EventStore, { strict: false }).append(ticket, [new TicketOpened('Printer')]);
    expect(await two.get(EventStore, { strict: false }).currentVersion(ticket)).toBe(0);
    await one.close();
    await two.close();
  });

  it('boots with projections and durable handlers, and calls none of them', async () => {
    const calls: string[] = [];

    @Projection('tickets')
    class TicketList {
      @On(TicketOpened)
      opened(): void {
        calls.push('projection');
      }
    }

    @Projection('subjects', { mode: 'inline' })
    class Subjects {
      @On(TicketOpened)
      opened(): void {
        calls.push('inline projection');
      }
    }

    @Durable('letters')
    @EventsHandler(TicketOpened)
    class Letters implements IEventHandler<TicketOpened> {
      handle(): void {
        calls.push('durable handler');
      }
    }

    @Module({ providers: [TicketList, Subjects, Letters] })
    class ReactionsModule {}

    const module = await boot(EventStoreTestingModule.forRoot(), TicketsModule, ReactionsModule);
    const store = module.get(EventStore, { strict: false });
    await store.append({ type: 'ticket', id: 't-1' }, [new TicketOpened('Printer')]);
    expect(module.get(Board, { strict: false }).lines).toEqual(['1 Printer']);
    expect(calls).toEqual([]);

    const consumers = module.get(Consumers, { strict: false });
    await expect(consumers.waitFor('letters', 1)).rejects.toMatchObject({ feature: 'consumers' });
    await expect(consumers.list()).rejects.toMatchObject({ feature: 'consumers' });
    await expect(drain(module)).rejects.toMatchObject({ feature: 'consumers' });
    await module.close();
  });

  it('reports what is wrong with projections and durable handlers', async () => {
    @Projection('empty')
    class Empty {}

    @Module({ providers: [Empty] })
    class EmptyModule {}

    await expect(boot(EventStoreTestingModule.forRoot(), EmptyModule)).rejects.toThrow(
      /'empty'.* takes no event/,
    );
  });
});
