import { describe, expect, it } from '@jest/globals';
import { Injectable, Scope } from '@nestjs/common';
import { EventsHandler, Saga } from '@nestjs/cqrs';
import { concatMap, EMPTY, type Observable } from 'rxjs';
import { Durable, EventStoreModule, On, Projection, type DurableOptions } from 'nest-event-store';
import { startBare, typeOrm } from '../start-application.ts';
import { OrderPlaced, Ship, useOrders } from './use-orders.ts';

class Unregistered {}
const { database, newSchema, start } = useOrders();

const problemsOf = async (...args: Parameters<typeof start>): Promise<readonly string[]> =>
  start(...args).then(
    () => [],
    (error: { problems: readonly string[] }) => error.problems,
  );

describe('At boot', () => {
  it('all problems of all consumers are reported together, each with its remedy', async () => {
    @Durable('same')
    @EventsHandler(OrderPlaced)
    class First {
      handle(): void {}
    }
    @Durable('same', { batchSze: 1 } as DurableOptions)
    @EventsHandler(Unregistered)
    class Second {
      handle(): void {}
    }
    @Durable(' ')
    @EventsHandler(OrderPlaced)
    class Blank {
      handle(): void {}
    }
    @Durable('no-handler')
    class NoHandler {}

    @Durable('other-store', { store: 'elsewhere' })
    @EventsHandler(OrderPlaced)
    class Elsewhere {
      handle(): void {}
    }
    @Durable('with-events', { events: [OrderPlaced] })
    @EventsHandler(OrderPlaced)
    class WithEvents {
      handle(): void {}
    }
    @Injectable({ scope: Scope.REQUEST })
    class Scoped {
      @Durable('scoped')
      @Saga()
      saga(): void {}

      @Durable('no-saga')
      noSaga(): void {}
    }
    @Projection('scoped-projection')
    @Injectable({ scope: Scope.REQUEST })
    class ScopedProjection {
      @On(OrderPlaced)
      placed(): void {}
    }
    const problems = await problemsOf([
      First,
      Second,
      Blank,
      NoHandler,
      Elsewhere,
      WithEvents,
      Scoped,
      ScopedProjection,
    ]);
    expect(problems).toEqual([
      expect.stringContaining("did you mean 'batchSize'?"),
      expect.stringContaining("@Durable('no-handler') on NoHandler finds no @EventsHandler"),
      expect.stringContaining("follows the store 'elsewhere', which does not exist"),
      expect.stringContaining('on WithEvents has `events`'),
      expect.stringContaining("@Durable('scoped') on Scoped.saga belongs to a class"),
      expect.stringContaining("@Durable('no-saga') on Scoped.noSaga finds no @Saga()"),
      expect.stringContaining("@Projection('scoped-projection'): ScopedProjection is transient"),
      expect.stringContaining("'same' is used by First and by Second"),
      expect.stringContaining("'same' takes Unregistered, which is not registered"),
      expect.stringContaining("' ' on Blank must be well-formed text of 1 to 255 bytes"),
    ]);
  });

  it('a class that inherits what only its parent declares durable is refused', async () => {
    @Durable('parent')
    @EventsHandler(OrderPlaced)
    class Parent {
      handle(): void {}

      @Durable('saga')
      @Saga()
      saga(events: Observable<object>): Observable<Ship> {
        return events.pipe(concatMap(() => EMPTY));
      }
    }
    class Heir extends Parent {}

    @Durable('decided')
    class Decided extends Parent {
      @Durable('own-saga')
      override saga(events: Observable<object>): Observable<Ship> {
        return super.saga(events);
      }
    }
    expect(await problemsOf([Parent, Heir, Decided])).toEqual([
      expect.stringContaining("Heir inherits the saga saga that is durable in Parent as 'saga'"),
      expect.stringContaining(
        "Heir inherits an @EventsHandler that is durable in Parent as 'parent'",
      ),
    ]);
    expect(await problemsOf([Parent, Decided])).toEqual([]);
  });

  it('a saga needs a CommandBus', async () => {
    @Injectable()
    class Orders {
      @Durable('shipping')
      @Saga()
      placed(events: Observable<object>): Observable<Ship> {
        return events.pipe(concatMap(() => EMPTY));
      }
    }
    const starting = startBare({
      imports: [
        typeOrm(await database.dataSource()),
        EventStoreModule.forRoot({ schema: newSchema(), eventBus: 'off' }),
        EventStoreModule.forFeature({ events: [OrderPlaced] }),
      ],
      providers: [Orders],
    });
    await expect(starting).rejects.toMatchObject({
      problems: [expect.stringContaining('on Orders.placed finds no CommandBus')],
    });
  });
});
