import 'reflect-metadata';
import type { INestApplicationContext, Provider } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CqrsModule } from '@nestjs/cqrs';
import { getDataSourceToken, TypeOrmModule } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import type { AggregateClass, EventRecord } from '../../lib/index.ts';
import { library } from '../library.ts';
import type { Payment, Subject } from '../subject.ts';

const { DomainEvent, EventStore, EventStoreModule, OnBatch, Projection } = library;

const pageSize = 1_000;

/** The payment as an application has it: an instance of a class that is registered by its name. */
@DomainEvent('payment.booked')
export class PaymentBooked implements Payment {
  constructor(
    readonly paymentId: string,
    readonly account: string,
    readonly amount: number,
    readonly currency: string,
    readonly reference: string,
    readonly bookedAt: string,
    readonly lines: Payment['lines'],
  ) {}
}

/** Makes the event that an application appends. */
export function booked(payment: Payment): PaymentBooked {
  const { paymentId, account, amount, currency, reference, bookedAt, lines } = payment;
  return new PaymentBooked(paymentId, account, amount, currency, reference, bookedAt, lines);
}

/** What an application has besides the store. */
export interface ApplicationOptions {
  readonly connections: number;
  readonly aggregates?: readonly AggregateClass[];
  readonly providers?: readonly Provider[];
}

/** Starts a Nest application with the module and its defaults, as a user has it. */
export function startApplication(
  url: string,
  { connections, aggregates = [], providers = [] }: ApplicationOptions,
): Promise<INestApplicationContext> {
  const application = {
    module: class Application {},
    imports: [
      TypeOrmModule.forRoot({
        type: 'postgres',
        url,
        poolSize: connections,
        installExtensions: false,
      }),
      CqrsModule.forRoot(),
      EventStoreModule.forRoot(),
      EventStoreModule.forFeature({ aggregates: [...aggregates], events: [PaymentBooked] }),
    ],
    providers: [...providers],
  };
  return NestFactory.createApplicationContext(application, { logger: ['warn', 'error'] });
}

/** This store, inside a Nest application. */
export const subject: Subject = {
  name: 'ours',
  kind: 'ours',
  hasGlobalOrder: true,
  async open(url, { connections }) {
    const application = await startApplication(url, { connections });
    const store = application.get(EventStore);
    const dataSource = application.get<DataSource>(getDataSourceToken());
    const aggregateOf = (id: string) => ({ type: 'account', id });

    return {
      async append(aggregate, events, after) {
        const options = { expectedVersion: after };
        await store.append(aggregateOf(aggregate), events.map(booked), options);
      },

      async appendInTransaction(aggregate, events, after) {
        await dataSource.transaction((manager) =>
          store.append(aggregateOf(aggregate), events.map(booked), {
            expectedVersion: after,
            manager,
          }),
        );
      },

      async load(aggregate) {
        const { records } = await store.fetchHistory(aggregateOf(aggregate));
        return records.length;
      },

      async readAll(onEvent) {
        for await (const { aggregate, event } of store.stream(0, { limit: pageSize })) {
          onEvent({ aggregate: aggregate.id, event: event as PaymentBooked });
        }
      },

      async follow(onEvent) {
        @Projection('follower')
        class Follower {
          @OnBatch(PaymentBooked)
          take(records: readonly EventRecord<PaymentBooked>[]): void {
            for (const { aggregate, event } of records) onEvent({ aggregate: aggregate.id, event });
          }
        }
        const follower = await startApplication(url, { connections, providers: [Follower] });
        return { stop: () => follower.close() };
      },

      close: () => application.close(),
    };
  },
};
