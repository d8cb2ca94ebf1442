import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import {
  Catch,
  ForbiddenException,
  Inject,
  Injectable,
  Scope,
  UseFilters,
  UseGuards,
  UseInterceptors,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR, REQUEST } from '@nestjs/core';
import { EventsHandler, type IEventHandler } from '@nestjs/cqrs';
import { EMPTY, of, tap, throwError, type Observable } from 'rxjs';
import { currentDelivery, Durable, noRetry, recordOf } from 'nest-event-store';
import { eventually, patiently } from '../../support/eventually.ts';
import { Notes, order, OrderPlaced, type Started, useOrders } from './use-orders.ts';

const { start } = useOrders();

describe('Around a durable handler', () => {
  const stoppedWith = async ({ consumers }: Started, name: string): Promise<string> => {
    const reason = await eventually(async () => {
      const { consumers: all } = await consumers.list();
      const stopped = all.find((each) => each.name === name && each.status === 'stopped');
      return stopped?.partitions[0]?.error?.message;
    });
    return reason ?? '';
  };

  @Injectable()
  class Noting implements NestInterceptor {
    constructor(readonly notes: Notes) {}

    intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
      const event = context.getArgByIndex<object>(0);
      this.notes.lines.push(`${context.getType()} ${recordOf(event)!.position}`);
      return next.handle().pipe(tap(() => this.notes.lines.push('after')));
    }
  }

  it('interceptors and guards of its class and its method run', async () => {
    @Injectable()
    class Guard implements CanActivate {
      constructor(readonly notes: Notes) {}

      canActivate(context: ExecutionContext): boolean {
        this.notes.lines.push(`guard of ${context.getClass().name}`);
        return true;
      }
    }
    @Durable('letters')
    @EventsHandler(OrderPlaced)
    @UseInterceptors(Noting)
    class Letters implements IEventHandler<OrderPlaced> {
      constructor(readonly notes: Notes) {}

      @UseGuards(Guard)
      async handle({ item }: OrderPlaced): Promise<void> {
        await turn();
        this.notes.lines.push(`handle ${item} for ${currentDelivery()?.consumer}`);
      }
    }
    const { place, notes } = await start([Letters]);
    await place('letters', 'lamp');
    expect(notes.lines).toEqual([
      'guard of Letters',
      'event-store 1',
      'handle lamp for letters',
      'after',
    ]);
  });

  it('those of a request-scoped handler run in its context', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class Guard implements CanActivate {
      constructor(
        readonly notes: Notes,
        @Inject(REQUEST) readonly request: unknown,
      ) {}

      canActivate(): boolean {
        this.notes.lines.push(`guard in ${(this.request as object).constructor.name}`);
        return true;
      }
    }
    @Durable('letters')
    @EventsHandler(OrderPlaced)
    @UseGuards(Guard)
    @UseInterceptors(Noting)
    class Letters implements IEventHandler<OrderPlaced> {
      constructor(readonly notes: Notes) {}

      handle({ item }: OrderPlaced): void {
        this.notes.lines.push(`handle ${item}`);
      }
    }
    const { place, notes } = await start([Letters]);
    await place('letters', 'lamp');
    expect(notes.lines).toEqual(['guard in AsyncContext', 'event-store 1', 'handle lamp', 'after']);
  });

  it('a guard that refuses is a failure of the event', async () => {
    const refuse: CanActivate = { canActivate: () => false };

    @Durable('letters', { retry: noRetry })
    @EventsHandler(OrderPlaced)
    @UseGuards(refuse)
    class Letters implements IEventHandler<OrderPlaced> {
      constructor(readonly notes: Notes) {}

      handle(): void {
        this.notes.lines.push('handled');
      }
    }
    const started = await start([Letters]);
    await started.store.append(order('1'), [new OrderPlaced('lamp')]);
    expect(await stoppedWith(started, 'letters')).toContain(new ForbiddenException().name);
    expect(started.notes.lines).toEqual([]);
  });

  it('no enhancer runs that the application has for its requests', async () => {
    const requests: string[] = [];

    @Injectable()
    class OfRequests implements CanActivate, NestInterceptor {
      canActivate(context: ExecutionContext): boolean {
        return this.#look(context);
      }

      intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
        this.#look(context);
        return next.handle();
      }

      #look(context: ExecutionContext): boolean {
        requests.push(context.getType());
        return context.switchToHttp().getRequest<Request>().headers.has('authorization');
      }
    }
    @Injectable({ scope: Scope.REQUEST })
    class OfOneRequest extends OfRequests {}

    @Catch()
    class Audit implements ExceptionFilter {
      async catch(error: unknown): Promise<void> {
        await turn();
        requests.push(String(error));
      }
    }
    @Durable('letters', { retry: { delayMs: (failures) => (failures > 2 ? undefined : 1) } })
    @EventsHandler(OrderPlaced)
    class Letters implements IEventHandler<OrderPlaced> {
      constructor(readonly notes: Notes) {}

      async handle({ item }: OrderPlaced): Promise<void> {
        this.notes.lines.push(item);
        await turn();
        throw new Error(`no ${item}`);
      }
    }
    const started = await start([
      Letters,
      { provide: APP_GUARD, useClass: OfRequests },
      { provide: APP_GUARD, useClass: OfOneRequest },
      { provide: APP_INTERCEPTOR, useClass: OfRequests },
      { provide: APP_FILTER, useClass: Audit },
    ]);
    await started.store.append(order('1'), [new OrderPlaced('lamp')]);
    expect(await stoppedWith(started, 'letters')).toBe('Error: no lamp');
    expect(started.notes.lines).toEqual(['lamp', 'lamp', 'lamp']);
    expect(requests).toEqual([]);
  });

  it('a filter of its class settles the event only by a value; otherwise the event fails', async () => {
    const filterOf = (answer: () => unknown): ExceptionFilter => ({ catch: answer });
    const answers: [settles: boolean, answer: () => unknown][] = [
      [true, () => 'noted'],
      [true, async () => false],
      [true, () => of(0)],
      [false, () => undefined],
      [false, async () => turn()],
      [false, async () => null],
      [false, () => EMPTY],
      [false, () => throwError(() => new Error('from the filter'))],
    ];
    const handlers = answers.map(([, answer], index) => {
      @Durable(`letters-${index}`, { retry: noRetry, onFailure: 'park' })
      @EventsHandler(OrderPlaced)
      @UseFilters(filterOf(answer))
      class Letters implements IEventHandler<OrderPlaced> {
        handle(): void {
          throw new Error('from the handler');
        }
      }
      return Letters;
    });
    const { store, consumers } = await start(handlers);
    const { position } = await store.append(order('1'), [new OrderPlaced('lamp')]);
    for (const [index, [settles, answer]] of answers.entries()) {
      await consumers.waitFor(`letters-${index}`, position, patiently);
      const parked = await consumers.parked(`letters-${index}`);
      expect([String(answer), parked.length]).toEqual([String(answer), settles ? 0 : 1]);
    }
  });

  it('a guard with an instance for each of its hosts runs', async () => {
    @Injectable({ scope: Scope.TRANSIENT })
    class Guard implements CanActivate {
      constructor(readonly notes: Notes) {}

      canActivate(): boolean {
        this.notes.lines.push('guarded');
        return true;
      }
    }
    @Durable('letters')
    @EventsHandler(OrderPlaced)
    @UseGuards(Guard)
    class Letters implements IEventHandler<OrderPlaced> {
      constructor(readonly notes: Notes) {}

      handle({ item }: OrderPlaced): void {
        this.notes.lines.push(item);
      }
    }
    const { place, notes } = await start([Letters]);
    await place('letters', 'lamp');
    expect(notes.lines).toEqual(['guarded', 'lamp']);
  });
});
