import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  AggregateRoot,
  EventPublisher,
  EventsHandler,
  WithAggregateRoot,
  type IEventHandler,
} from '@nestjs/cqrs';
import type { TestingModule } from '@nestjs/testing';
import {
  Aggregate,
  CommitBeforeSaveError,
  DomainEvent,
  EventStore,
  EventStoreModule,
  getAggregateRepositoryToken,
  recordOf,
  type AggregateClass,
  type AggregateRepository,
  type IdentifiedAggregate,
} from 'nest-event-store';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { startApplication } from './start-application.ts';

@DomainEvent('ticket.opened')
class TicketOpened {
  constructor(readonly title: string) {}
}

@Aggregate('ticket')
class Ticket extends AggregateRoot<object> {
  constructor(readonly id: string) {
    super();
  }

  open(title: string): void {
    this.apply(new TicketOpened(title));
  }
}

class Numbered {
  constructor(readonly id: string) {}
}

/** The same with the mixin, and with a commit of its own. */
@Aggregate('mixed-ticket')
class MixedTicket extends WithAggregateRoot(Numbered) {
  committed = 0;

  open(title: string): void {
    this.apply(new TicketOpened(title));
  }

  override commit(): void {
    this.committed += 1;
    super.commit();
  }
}

@EventsHandler(TicketOpened)
class Listener implements IEventHandler<TicketOpened> {
  readonly heard: (number | undefined)[] = [];

  handle(event: TicketOpened): void {
    this.heard.push(recordOf(event)?.version);
  }
}

let database: TestDatabase;
let application: TestingModule;
let publisher: EventPublisher;
let listener: Listener;
let ids = 0;

beforeAll(async () => {
  database = await createTestDatabase();
  application = await startApplication(await database.dataSource(), {
    imports: [
      EventStoreModule.forRoot(),
      EventStoreModule.forFeature({ aggregates: [Ticket, MixedTicket], events: [TicketOpened] }),
    ],
    providers: [Listener],
  });
  publisher = application.get(EventPublisher);
  listener = application.get(Listener);
});
beforeEach(() => {
  listener.heard.length = 0;
});
afterAll(async () => {
  await application.close();
  await database.drop();
});

interface Openable extends IdentifiedAggregate {
  open(title: string): void;
}

const kinds: [string, AggregateClass<Openable>, (id: string) => Openable][] = [
  ['mergeObjectContext', Ticket, (id) => publisher.mergeObjectContext(new Ticket(id))],
  ['mergeClassContext', Ticket, (id) => new (publisher.mergeClassContext(Ticket))(id)],
  ['mergeObjectContext', MixedTicket, (id) => publisher.mergeObjectContext(new MixedTicket(id))],
  ['mergeClassContext', MixedTicket, (id) => new (publisher.mergeClassContext(MixedTicket))(id)],
];

describe.each(kinds)('an aggregate with %s (%p)', (_, aggregateClass, create) => {
  let tickets: AggregateRepository<Openable>;
  let ticket: Openable;

  beforeEach(() => {
    tickets = application.get(getAggregateRepositoryToken(aggregateClass));
    ticket = create(`t-${(ids += 1)}`);
  });

  it('cannot be committed before it is saved: nothing is published, and the save stores all', async () => {
    ticket.open('first');
    ticket.open('second');
    expect(() => ticket.commit()).toThrow(CommitBeforeSaveError);
    expect(listener.heard).toEqual([]);
    const { version } = await tickets.save(ticket);
    expect([version, listener.heard]).toEqual([2, [1, 2]]);
  });

  it('may be committed after a save, which has published its events once', async () => {
    ticket.open('first');
    await tickets.save(ticket);
    ticket.commit();
    expect(listener.heard).toEqual([1]);
    ticket.open('second');
    expect(() => ticket.commit()).toThrow(CommitBeforeSaveError);
  });
});

it('a commit inside the work of an execute is an error, and nothing is published or stored', async () => {
  const tickets: AggregateRepository<Ticket> = application.get(getAggregateRepositoryToken(Ticket));
  const id = `t-${(ids += 1)}`;
  const ticket = new Ticket(id);
  ticket.open('first');
  await tickets.save(ticket);
  listener.heard.length = 0;

  const committed = tickets.execute(id, (loaded) => {
    publisher.mergeObjectContext(loaded).open('second');
    loaded.commit();
  });
  await expect(committed).rejects.toMatchObject({
    code: 'COMMIT_BEFORE_SAVE',
    aggregate: { type: 'ticket', id },
    eventCount: 1,
  });
  expect(listener.heard).toEqual([]);
  expect(await application.get(EventStore).currentVersion({ type: 'ticket', id })).toBe(1);
});
