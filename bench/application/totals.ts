import { EventsHandler, type IEventHandler } from '@nestjs/cqrs';
import type { EventRecord, GenerationScope, ProjectionContext } from '../../lib/index.ts';
import { library } from '../library.ts';
import { PaymentBooked } from '../subjects/ours.ts';

const { Durable, On, OnBatch, Projection } = library;

const createTable = `
  CREATE TABLE totals (
    account text PRIMARY KEY,
    payments bigint NOT NULL,
    cents bigint NOT NULL
  )`;

const addAll = `
  INSERT INTO totals
  SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[])
  ON CONFLICT (account) DO UPDATE
  SET payments = totals.payments + excluded.payments, cents = totals.cents + excluded.cents`;

const addOne = `
  INSERT INTO totals
  VALUES ($1, 1, $2)
  ON CONFLICT (account) DO UPDATE
  SET payments = totals.payments + 1, cents = totals.cents + excluded.cents`;

class Totals {
  async prepare({ manager }: GenerationScope): Promise<void> {
    await manager.query(createTable);
  }
}

/** Adds up each batch in memory, and writes the sums by one statement. */
@Projection('set-based')
export class SetBasedTotals extends Totals {
  @OnBatch(PaymentBooked)
  async add(
    records: readonly EventRecord<PaymentBooked>[],
    { manager }: ProjectionContext,
  ): Promise<void> {
    const sums = new Map<string, { payments: number; cents: number }>();
    for (const { aggregate, event } of records) {
      const sum = sums.get(aggregate.id) ?? { payments: 0, cents: 0 };
      sum.payments += 1;
      sum.cents += event.amount;
      sums.set(aggregate.id, sum);
    }
    const rows = [...sums.values()];
    await manager.query(addAll, [
      [...sums.keys()],
      rows.map(({ payments }) => payments),
      rows.map(({ cents }) => cents),
    ]);
  }
}

class TotalsByEvent extends Totals {
  @On(PaymentBooked)
  async add(
    { amount }: PaymentBooked,
    { aggregate }: EventRecord,
    { manager }: ProjectionContext,
  ): Promise<void> {
    await manager.query(addOne, [aggregate.id, amount]);
  }
}

/** Writes event by event, in the transaction of the batch. */
@Projection('by-event')
export class EventByEventTotals extends TotalsByEvent {}

/** Writes event by event, each in a transaction of its own. */
@Projection('one-by-one', { batchSize: 1 })
export class OneByOneTotals extends TotalsByEvent {}

/** A durable handler that does nothing. */
@Durable('letters', { from: 'start' })
@EventsHandler(PaymentBooked)
export class Letters implements IEventHandler<PaymentBooked> {
  async handle(): Promise<void> {}
}
