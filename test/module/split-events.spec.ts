import { afterEach, describe, expect, it } from '@jest/globals';
import { EventsHandler, type IEventHandler } from '@nestjs/cqrs';
import type { TestingModule } from '@nestjs/testing';
import {
  Consumers,
  DomainEvent,
  Durable,
  EventStore,
  EventStoreModule,
  noRetry,
  On,
  Projection,
  upcaster,
  type Upcaster,
  type EventClass,
} from 'nest-event-store';
import { eventually, patiently } from '../support/eventually.ts';
import { useDatabase } from '../support/use-store.ts';
import { startApplication } from './start-application.ts';

@DomainEvent('stay.booked')
class BookedAndPaid {
  constructor(readonly cents: number) {}
}

@DomainEvent('stay.booked', { revision: 2 })
class Booked {
  readonly cents!: number;
}

@DomainEvent('stay.paid')
class Paid {
  readonly cents!: number;
}

const split = upcaster('stay.booked', 1, ({ cents }) => [
  { type: 'stay.booked', revision: 2, payload: { cents: cents! } },
  { type: 'stay.paid', revision: 1, payload: { cents: cents! } },
]);

const handled: string[] = [];
const note = (consumer: string, event: Booked | Paid): void => {
  handled.push(`${consumer} ${event.constructor.name} ${event.cents}`);
};

@Durable('both', { from: 'start', retry: noRetry })
@EventsHandler(Booked, Paid)
class Both implements IEventHandler<Booked | Paid> {
  handle(event: Booked | Paid): void {
    note('both', event);
  }
}

@Durable('second', { from: 'start', retry: noRetry })
@EventsHandler(Paid)
class SecondAlone implements IEventHandler<Paid> {
  handle(event: Paid): void {
    note('second', event);
  }
}

@Projection('projected', { batchSize: 1 })
class Projected {
  @On(Paid)
  paid(event: Paid): void {
    note('projected', event);
  }
}

/** Fails at the second part for as long as this is so. */
let isBroken = false;

@Projection('torn', { batchSize: 1, retry: noRetry })
class Torn {
  @On(Booked)
  booked(event: Booked): void {
    note('torn', event);
  }

  @On(Paid)
  paid(event: Paid): void {
    if (isBroken) throw new Error('broken');
    note('torn', event);
  }
}

const database = useDatabase();

describe('An event that was split into several by an upcaster', () => {
  let application: TestingModule | undefined;
  afterEach(() => application?.close());

  const start = async (
    events: readonly EventClass[],
    upcasters: readonly Upcaster[],
    providers: (new () => object)[],
  ): Promise<TestingModule> =>
    startApplication(await database.dataSource(), {
      imports: [EventStoreModule.forRoot(), EventStoreModule.forFeature({ events, upcasters })],
      providers,
    });

  it('is handled by every kind of consumer, one after another, whatever part it takes', async () => {
    const before = await start([BookedAndPaid], [], []);
    const store = before.get(EventStore);
    for (const cents of [1, 2, 3]) {
      await store.append({ type: 'stay', id: 'a' }, [new BookedAndPaid(cents)]);
    }
    await before.close();

    const { position } = await (async () => {
      application = await start([Booked, Paid], [split], [Both, SecondAlone, Projected]);
      return application.get(EventStore).fetch();
    })();
    const consumers = application!.get(Consumers);
    for (const name of ['both', 'second', 'projected']) {
      await consumers.waitFor(name, position, patiently);
    }
    const of = (consumer: string) => handled.filter((line) => line.startsWith(consumer));
    const parts = [1, 2, 3].flatMap((cents) => [`both Booked ${cents}`, `both Paid ${cents}`]);
    expect(of('both')).toEqual(parts);
    expect(of('second')).toEqual([1, 2, 3].map((cents) => `second Paid ${cents}`));
    expect(of('projected')).toEqual([1, 2, 3].map((cents) => `projected Paid ${cents}`));
  });

  it('comes again as a whole if its second part has failed', async () => {
    isBroken = true;
    application = await start([Booked, Paid], [split], [Torn]);
    const consumers = application.get(Consumers);
    const state = async () =>
      (await consumers.list()).consumers.find(({ name }) => name === 'torn');
    await eventually(async () => (await state())?.status === 'stopped');
    isBroken = false;
    handled.length = 0;
    await consumers.resume('torn');
    const { position } = await application.get(EventStore).fetch();
    await consumers.waitFor('torn', position, patiently);
    expect(handled).toEqual(
      [1, 2, 3].flatMap((cents) => [`torn Booked ${cents}`, `torn Paid ${cents}`]),
    );
  });
});
