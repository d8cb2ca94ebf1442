import { expect } from '@jest/globals';
import type { ModuleMetadata } from '@nestjs/common';
import { AggregateRoot } from '@nestjs/cqrs';
import type { TestingModule } from '@nestjs/testing';
import type { DataSource } from 'typeorm';
import {
  Aggregate,
  DomainEvent,
  EventStoreConfigurationError,
  everyNEvents,
} from 'nest-event-store';
import { startApplication } from '../start-application.ts';
import { useApplications } from '../use-applications.ts';

@DomainEvent('parcel.sent')
export class ParcelSent {
  constructor(readonly to: string) {}
}

@DomainEvent('invoice.issued')
export class InvoiceIssued {
  constructor(readonly cents: number) {}
}

@Aggregate('parcel', { snapshots: everyNEvents(2) })
export class Parcel extends AggregateRoot<object> {
  destination = '';

  constructor(readonly id: string) {
    super();
  }

  send(to: string): void {
    this.apply(new ParcelSent(to));
  }

  onParcelSent({ to }: ParcelSent): void {
    this.destination = to;
  }
}

export const feature = { aggregates: [Parcel], events: [ParcelSent] };
export const parcel = { type: 'parcel', id: 'p-1' };

/** Starts applications in which parcels are sent. */
export function useParcels() {
  const { database, applications, newSchema } = useApplications();

  async function start(metadata: ModuleMetadata, dataSource?: DataSource): Promise<TestingModule> {
    const application = await startApplication(
      dataSource ?? (await database.dataSource()),
      metadata,
    );
    applications.push(application);
    return application;
  }

  /** Returns what keeps an application from starting. */
  async function problemsOf(
    metadata: ModuleMetadata,
    boot: (metadata: ModuleMetadata) => Promise<TestingModule> = start,
  ): Promise<readonly string[]> {
    const error = await boot(metadata).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(EventStoreConfigurationError);
    return (error as EventStoreConfigurationError).problems;
  }

  const tablesOf = async (schema: string): Promise<string[]> => {
    const dataSource = await database.dataSource();
    const rows: { table_name: string }[] = await dataSource.query(
      'SELECT table_name FROM information_schema.tables WHERE table_schema = $1 ORDER BY 1',
      [schema],
    );
    await dataSource.destroy();
    return rows.map((row) => row.table_name);
  };

  return { database, applications, newSchema, start, problemsOf, tablesOf };
}
