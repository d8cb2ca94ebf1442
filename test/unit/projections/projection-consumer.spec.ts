import { describe, expect, it } from '@jest/globals';
import type { EntityManager } from 'typeorm';
import { projectionConsumer } from '../../../lib/projections/projection-consumer.ts';
import {
  On,
  OnBatch,
  Projection,
  projectionOf,
  type ProjectionContext,
  type ProjectionOptions,
} from '../../../lib/projections/projection.decorator.ts';
import type { EventRecord } from '../../../lib/events/event-record.ts';

class Opened {
  constructor(readonly owner: string) {}
}
class OpenedJointly extends Opened {}
class Closed {}

const records = (...events: object[]): EventRecord[] =>
  events.map((event, index) => ({ event, position: index + 1 }) as unknown as EventRecord);

const delivery = { consumer: 'accounts', generation: 2, replayed: true, attempt: 1 };
const manager = { name: 'the manager' } as unknown as EntityManager;

function consumerOf(projection: object) {
  const definition = projectionOf(projection.constructor as new () => object)!;
  return projectionConsumer(projection, definition);
}

/** An account list whose methods take a while, the first one longest. */
@Projection('accounts', { batchSize: 10 })
class Accounts {
  readonly calls: string[] = [];
  readonly contexts: ProjectionContext[] = [];

  @On(Opened)
  async opened(event: Opened, record: EventRecord<Opened>, context: ProjectionContext) {
    await new Promise((resolve) => setImmediate(resolve));
    this.calls.push(`opened ${event.owner} at ${record.position}`);
    this.contexts.push(context);
  }

  @On(Closed)
  closed() {
    this.calls.push('closed');
  }

  prepare() {
    this.calls.push('prepare');
  }
}

describe('The consumer of a projection', () => {
  it('calls the methods one after another, with the event, its record and the manager', async () => {
    const accounts = new Accounts();
    const { consumer, problems } = consumerOf(accounts);
    expect(problems).toEqual([]);
    expect(consumer).toMatchObject({ name: 'accounts', kind: 'projection' });
    expect(consumer.settings).toMatchObject({ from: 'start', batchSize: 10 });
    expect(consumer.events).toEqual([Opened, Closed]);

    await consumer.deliver(
      records(new Opened('ada'), new Closed(), new Opened('grace')),
      delivery,
      manager,
    );
    expect(accounts.calls).toEqual(['opened ada at 1', 'closed', 'opened grace at 3']);
    expect(accounts.contexts[0]).toEqual({ ...delivery, manager });
  });

  it('takes an event by its own class, whatever its parent or its data says', async () => {
    const accounts = new Accounts();
    const disguised = Object.assign(new Closed(), { constructor: Opened });
    await consumerOf(accounts).consumer.deliver(
      records(new OpenedJointly('both'), disguised),
      delivery,
      manager,
    );
    expect(accounts.calls).toEqual(['closed']);
  });

  it('takes the events of every decorator on a method', () => {
    @Projection('stacked')
    class Stacked {
      @On(Opened)
      @On(Closed)
      moved() {}
    }
    const { consumer, problems } = consumerOf(new Stacked());
    expect(problems).toEqual([]);
    expect(new Set(consumer.events)).toEqual(new Set([Opened, Closed]));
  });

  it('hands a batch over as a whole', async () => {
    @Projection('totals', { mode: 'inline' })
    class Totals {
      readonly batches: (readonly EventRecord[])[] = [];

      @OnBatch(Opened, Closed)
      apply(batch: readonly EventRecord[]) {
        this.batches.push(batch);
      }
    }
    const totals = new Totals();
    const { consumer } = consumerOf(totals);
    expect(consumer.kind).toBe('inline-projection');
    expect(consumer.events).toEqual([Opened, Closed]);
    const batch = records(new Opened('ada'), new Closed());
    await consumer.deliver(batch, delivery, manager);
    expect(totals.batches).toEqual([batch]);
  });

  it('has the hooks that the projection has, bound to it', async () => {
    const accounts = new Accounts();
    const { hooks } = consumerOf(accounts).consumer;
    await hooks.prepare!({ generation: 1, manager });
    expect(accounts.calls).toEqual(['prepare']);
    expect(hooks.activate).toBeUndefined();
    expect(hooks.discard).toBeUndefined();
  });

  it('calls the methods of a parent, and those that override them', async () => {
    abstract class Base {
      readonly calls: string[] = [];

      @On(Opened)
      opened() {
        this.calls.push('parent');
      }

      @On(Closed)
      closed() {
        this.calls.push('parent');
      }
    }
    @Projection('derived')
    class Derived extends Base {
      override closed() {
        this.calls.push('child');
      }
    }
    const derived = new Derived();
    const { consumer, problems } = consumerOf(derived);
    expect(problems).toEqual([]);
    await consumer.deliver(records(new Opened('ada'), new Closed()), delivery, manager);
    expect(derived.calls).toEqual(['parent', 'child']);
  });
});

describe('The decorators of a projection', () => {
  const problemsOf = (projectionClass: new () => object) =>
    consumerOf(new projectionClass()).problems;

  it('report all their problems', () => {
    @Projection('faulty', {
      mode: 'sometimes',
      batchSze: 3,
      partitions: 0,
    } as unknown as ProjectionOptions)
    class Faulty {
      @On(Opened, undefined as unknown as typeof Opened)
      opened() {}

      @On(Opened)
      openedToo() {}

      @OnBatch()
      batch() {}
    }
    expect(problemsOf(Faulty)).toEqual([
      expect.stringContaining('opened() names something that is no event class'),
      expect.stringContaining('opened() and openedToo() both take Opened'),
      expect.stringContaining('batch() names no event class'),
      expect.stringContaining('no other may take any'),
      expect.stringContaining("'mode' must be"),
      expect.stringContaining("did you mean 'batchSize'?"),
      expect.stringContaining("'partitions' must be a whole number"),
    ]);
  });

  it('report a projection that takes no event', () => {
    @Projection('idle')
    class Idle {}
    expect(problemsOf(Idle)).toEqual([expect.stringContaining('takes no event')]);
  });
});
