import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type BeforeApplicationShutdown,
  Body,
  Controller,
  Injectable,
  Module,
  type OnModuleDestroy,
  Post,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CqrsModule } from '@nestjs/cqrs';
import { TypeOrmModule } from '@nestjs/typeorm';
import { EventStoreModule } from '../../../lib/event-store.module.ts';
import type { EventRecord } from '../../../lib/events/event-record.ts';
import { On, Projection } from '../../../lib/projections/projection.decorator.ts';
import { EventStore } from '../../../lib/store/event-store.ts';
import { offer, startValue } from '../../support/process-calls.ts';
import { Counted } from '../../support/store.ts';

/** A request to count; the handler takes its time before it appends, and after. */
export interface CountRequest {
  readonly counter: string;
  readonly beforeMs: number;
  readonly afterMs: number;
}

const { url } = startValue() as { url: string };
let isOpen = true;

@Controller()
class CounterController {
  constructor(private readonly store: EventStore) {}

  @Post('count')
  async count(@Body() { counter, beforeMs, afterMs }: CountRequest): Promise<{ position: number }> {
    await delay(beforeMs);
    const { position } = await this.store.append({ type: 'counter', id: counter }, [
      new Counted(1),
    ]);
    await delay(afterMs);
    return { position };
  }
}

/** What must never happen: a handler at work when the hooks after it have run. */
@Projection('slow-counts')
@Injectable()
class SlowCounts implements BeforeApplicationShutdown {
  @On(Counted)
  async counted(_: Counted, { position }: EventRecord): Promise<void> {
    if (!isOpen) throw new Error(`Position ${position} was handled after consumers had to rest.`);
    await delay(2);
  }

  beforeApplicationShutdown(): void {
    isOpen = false;
  }
}

/** Appends in the hooks in which an application may still append. */
@Injectable()
class LastWords implements OnModuleDestroy, BeforeApplicationShutdown {
  constructor(private readonly store: EventStore) {}

  async onModuleDestroy(): Promise<void> {
    await this.store.append({ type: 'hook', id: 'onModuleDestroy' }, [new Counted(1)]);
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.store.append({ type: 'hook', id: 'beforeApplicationShutdown' }, [new Counted(1)]);
  }
}

@Module({
  imports: [
    TypeOrmModule.forRoot({ type: 'postgres', url, installExtensions: false }),
    CqrsModule.forRoot(),
    EventStoreModule.forRoot(),
    EventStoreModule.forFeature({ events: [Counted] }),
  ],
  controllers: [CounterController],
  providers: [SlowCounts, LastWords],
})
class CounterModule {}

const app = await NestFactory.create(CounterModule, { logger: ['warn', 'error', 'fatal'] });
await app.listen(0, '127.0.0.1');

const functions = {
  port: (): number => (app.getHttpServer().address() as AddressInfo).port,
};

/** What the process offers to the spec that has started it. */
export type CounterFunctions = typeof functions;

offer(functions, () => app.close());
