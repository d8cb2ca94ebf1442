import { setTimeout as delay } from 'node:timers/promises';
import { Injectable, type Provider } from '@nestjs/common';
import { EventsHandler, type IEventHandler } from '@nestjs/cqrs';
import type { Pool } from 'pg';
import { type EventRecord, recordOf } from '../../../lib/events/event-record.ts';
import {
  On,
  OnBatch,
  Projection,
  type ProjectionContext,
} from '../../../lib/projections/projection.decorator.ts';
import type { GenerationScope } from '../../../lib/subscriptions/consumer.ts';
import { currentDelivery } from '../../../lib/subscriptions/delivery/delivery.ts';
import type { RetryPolicy } from '../../../lib/subscriptions/retry-policy.ts';
import { Durable } from '../../../lib/handlers/durable.decorator.ts';
import { Gates } from './gates.ts';
import { Deposited, type Movement, Withdrawn } from './ledger.events.ts';
import { addToTallies, removeGeneration, writeEffects, writeHook } from './ledger.tables.ts';

export interface LedgerConsumersOptions {
  /** Of those consumers that have several. */
  readonly partitions: number;
  /** Of those projections that lock rows. */
  readonly timeoutMs: number;
  /** The longest duration of the calls that are slow at random. */
  readonly slowMs: number;
  /** Consumers that this process does not have. */
  readonly without: readonly string[];
  /** The amount at which the journal ends its process. */
  readonly exitsAt: number;
}

/** The handlers' own connections to the database, apart from those of the store. */
export abstract class Outside {
  abstract readonly pool: Pool;
}

/** Never gives up: on a busy machine, any call may exceed its timeout again and again. */
const retry: RetryPolicy = { delayMs: () => 100 };

/** Every kind of consumer, each of which records what it does; see `ledgerConsumers`. */
export function ledgerProviders({
  partitions,
  timeoutMs,
  slowMs,
  without,
  exitsAt,
}: LedgerConsumersOptions): Provider[] {
  const takeTime = async (): Promise<void> => {
    if (Math.random() < 0.03) await delay(Math.random() * slowMs);
  };

  /** Per event, with locks on its tallies for as long as its transaction is open. */
  @Projection('balances', { batchSize: 40, timeoutMs, retry })
  @Injectable()
  class Balances {
    constructor(private readonly gates: Gates) {}

    prepare = ({ manager, generation }: GenerationScope) =>
      writeHook(manager, 'balances', generation, 'prepare');
    activate = ({ manager, generation }: GenerationScope) =>
      writeHook(manager, 'balances', generation, 'activate');

    @On(Deposited, Withdrawn)
    async moved(_: Movement, record: EventRecord, context: ProjectionContext): Promise<void> {
      await writeEffects(context.manager, [record], context);
      await addToTallies(context.manager, [record], context);
      await takeTime();
      await this.gates.pass('balances');
    }
  }

  /** In batches and partitions, with read models that go with their generation. */
  @Projection('turnover', {
    aggregateTypes: ['account'],
    batchSize: 60,
    timeoutMs,
    partitions,
    retry,
  })
  @Injectable()
  class Turnover {
    constructor(private readonly gates: Gates) {}

    prepare = ({ manager, generation }: GenerationScope) =>
      writeHook(manager, 'turnover', generation, 'prepare');
    activate = ({ manager, generation }: GenerationScope) =>
      writeHook(manager, 'turnover', generation, 'activate');
    discard = async ({ manager, generation }: GenerationScope) => {
      await removeGeneration(manager, 'turnover', generation);
      await writeHook(manager, 'turnover', generation, 'discard');
    };

    @OnBatch(Deposited)
    async deposited(records: readonly EventRecord[], context: ProjectionContext): Promise<void> {
      await writeEffects(context.manager, records, context);
      await takeTime();
      await addToTallies(context.manager, records, context);
      await this.gates.pass('turnover');
    }
  }

  /** Locks nothing: without the fence, two owners could commit the same events side by side. */
  @Projection('journal', { batchSize: 20, timeoutMs: 20_000, retry })
  @Injectable()
  class Journal {
    constructor(private readonly gates: Gates) {}

    @OnBatch(Deposited, Withdrawn)
    async moved(records: readonly EventRecord[], context: ProjectionContext): Promise<void> {
      await writeEffects(context.manager, records, context);
      await takeTime();
      if (records.some(({ event }) => (event as Movement).amount === exitsAt)) process.exit(9);
      await this.gates.pass('journal');
    }
  }

  @Projection('totals', { mode: 'inline' })
  @Injectable()
  class Totals {
    prepare = ({ manager, generation }: GenerationScope) =>
      writeHook(manager, 'totals', generation, 'prepare');
    activate = ({ manager, generation }: GenerationScope) =>
      writeHook(manager, 'totals', generation, 'activate');

    @On(Deposited, Withdrawn)
    async moved(_: Movement, record: EventRecord, context: ProjectionContext): Promise<void> {
      await writeEffects(context.manager, [record], context);
      await addToTallies(context.manager, [record], context);
    }
  }

  /** A handler of plain `@nestjs/cqrs`, whose effects are outside of any transaction of the store. */
  @Durable('letters', { from: 'start', retry })
  @EventsHandler(Deposited, Withdrawn)
  class Letters implements IEventHandler<Movement> {
    constructor(
      private readonly outside: Outside,
      private readonly gates: Gates,
    ) {}

    async handle(event: Movement): Promise<void> {
      await takeTime();
      await writeEffects(this.outside.pool, [recordOf(event)!], currentDelivery()!);
      await this.gates.pass('letters');
    }
  }

  @Durable('receipts', { from: 'start', partitions, retry })
  @EventsHandler(Deposited)
  class Receipts implements IEventHandler<Deposited> {
    constructor(private readonly outside: Outside) {}

    async handle(event: Deposited): Promise<void> {
      await takeTime();
      await writeEffects(this.outside.pool, [recordOf(event)!], currentDelivery()!);
    }
  }

  const providers = {
    balances: Balances,
    turnover: Turnover,
    journal: Journal,
    totals: Totals,
    letters: Letters,
    receipts: Receipts,
  };
  return Object.entries(providers).flatMap(([name, provider]) =>
    without.includes(name) ? [] : [provider],
  );
}
