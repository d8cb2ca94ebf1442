import 'reflect-metadata';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type BeforeApplicationShutdown,
  Body,
  Controller,
  Injectable,
  Module,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
  type OnModuleInit,
  Post,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CqrsModule } from '@nestjs/cqrs';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { InjectDataSource, TypeOrmModule } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { EventStoreModule } from '../../../lib/event-store.module.ts';
import type { EventRecord } from '../../../lib/events/event-record.ts';
import { On, Projection } from '../../../lib/projections/projection.decorator.ts';
import type { AggregateRef } from '../../../lib/store/aggregate-ref.ts';
import { EventStore } from '../../../lib/store/event-store.ts';
import { patiently } from '../../support/eventually.ts';
import { offer, startValue } from '../../support/process-calls.ts';
import { Counted } from '../../support/store.ts';

/** How the application is started. */
export interface CounterStart {
  readonly url: string;
  readonly port: number;
  readonly platform: 'express' | 'fastify';
  /** How it is asked to end: by a handler of its own that calls `app.close()`, or by the shutdown hooks of Nest. */
  readonly endsBy: 'close' | 'hooks';
  /** The hook of its start that is slow; it runs after the store's own. */
  readonly slow?: 'onModuleInit' | 'onApplicationBootstrap';
}

/** A request to count; the handler pauses before and after it appends. */
export interface CountRequest {
  readonly counter: string;
  readonly by: 'append' | 'appendAll' | 'transaction';
  /** Whether it first waits until all held requests are released. @default false */
  readonly isHeld?: boolean;
  readonly beforeMs: number;
  readonly afterMs: number;
}

const { url, port, platform, endsBy, slow } = startValue() as CounterStart;
let isOpen = true;
let isStarting = false;
let isEnding = false;
let held = 0;
let letGo!: () => void;
const areLetGo = new Promise<void>((resolve) => (letGo = resolve));

@Controller()
class CounterController {
  constructor(
    private readonly store: EventStore,
    @InjectDataSource() private readonly dataSource: DataSource,
  ) {}

  @Post('count')
  async count(@Body() { counter, by, isHeld, beforeMs, afterMs }: CountRequest) {
    if (isHeld) {
      held += 1;
      await areLetGo;
    }
    await delay(beforeMs);
    const position = await this.#counted({ type: 'counter', id: counter }, by);
    await delay(afterMs);
    return { position };
  }

  async #counted(aggregate: AggregateRef, by: CountRequest['by']): Promise<number> {
    const events = [new Counted(1)];
    if (by === 'append') return (await this.store.append(aggregate, events)).position;
    if (by === 'appendAll') {
      return (await this.store.appendAll([{ aggregate, events }]))[0]!.position;
    }
    return this.dataSource.transaction(async (manager) => {
      return (await this.store.append(aggregate, events, { manager })).position;
    });
  }
}

/** Fails if it handles an event after `beforeApplicationShutdown` has run. */
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

/** Appends in every shutdown hook, because an application may still append in all of them. */
@Injectable()
class LastWords implements OnModuleDestroy, BeforeApplicationShutdown, OnApplicationShutdown {
  constructor(private readonly store: EventStore) {}

  async onModuleDestroy(): Promise<void> {
    await this.store.append({ type: 'hook', id: 'onModuleDestroy' }, [new Counted(1)]);
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.store.append({ type: 'hook', id: 'beforeApplicationShutdown' }, [new Counted(1)]);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.store.append({ type: 'hook', id: 'onApplicationShutdown' }, [new Counted(1)]);
  }
}

@Injectable()
class SlowStart implements OnModuleInit, OnApplicationBootstrap {
  async onModuleInit(): Promise<void> {
    if (slow === 'onModuleInit') await this.#takeTime();
  }

  async onApplicationBootstrap(): Promise<void> {
    if (slow === 'onApplicationBootstrap') await this.#takeTime();
  }

  async #takeTime(): Promise<void> {
    isStarting = true;
    await delay(500);
  }
}

@Module({
  imports: [
    TypeOrmModule.forRoot({ type: 'postgres', url, installExtensions: false }),
    CqrsModule.forRoot(),
    EventStoreModule.forRoot({ lockTimeoutMs: patiently.timeoutMs }),
    EventStoreModule.forFeature({ events: [Counted] }),
  ],
  controllers: [CounterController],
  providers: [SlowCounts, LastWords, SlowStart],
})
class CounterModule {}

const adapter = platform === 'fastify' ? new FastifyAdapter() : new ExpressAdapter();
const app = await NestFactory.create(CounterModule, adapter, {
  logger: ['warn', 'error', 'fatal'],
});
if (endsBy === 'hooks') app.enableShutdownHooks([], { useProcessExit: true });
const functions = {
  isStarting: (): boolean => isStarting,
  /** The number of held requests that have arrived. */
  held: (): number => held,
  letGo: (): void => letGo(),
};

/** What the process offers to the spec that has started it. */
export type CounterFunctions = typeof functions;

// Before it has started, so that it can be asked to end meanwhile.
offer(functions, async () => {
  isEnding = true;
  await app.close();
});
await app.init();
if (!isEnding) await app.listen(port, '127.0.0.1');
