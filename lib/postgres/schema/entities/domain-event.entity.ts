import { EntitySchema } from 'typeorm';
import type { AggregateEntity } from './aggregate.entity.ts';

/** A row of `domain_events`: one recorded event. For reading only; the database refuses changes. */
export class DomainEventEntity {
  /** A bigint, as text. */
  position!: string;
  eventId!: string;
  /** A bigint, as text. */
  aggregateKey!: string;
  aggregate!: AggregateEntity;
  /** A bigint, as text. */
  version!: string;
  type!: string;
  revision!: number;
  payload!: object;
  binaryPayload!: Buffer | null;
  metadata!: object;
  recordedAt!: Date;
  /** The hash of the hash chain. Read only by queries that select it. */
  hash?: Buffer | null;
}

export const domainEventEntity = (schema: string): EntitySchema<DomainEventEntity> =>
  new EntitySchema<DomainEventEntity>({
    name: 'DomainEventEntity',
    target: DomainEventEntity,
    schema,
    tableName: 'domain_events',
    // The migrations create the table; TypeORM must never alter it.
    synchronize: false,
    columns: {
      position: { type: 'bigint', primary: true },
      eventId: { type: 'uuid', name: 'event_id' },
      aggregateKey: { type: 'bigint', name: 'aggregate_key' },
      version: { type: 'bigint' },
      type: { type: 'text', collation: 'C' },
      revision: { type: 'integer' },
      payload: { type: 'jsonb' },
      binaryPayload: { type: 'bytea', name: 'binary_payload', nullable: true },
      metadata: { type: 'jsonb' },
      recordedAt: { type: 'timestamptz', name: 'recorded_at' },
      hash: { type: 'bytea', nullable: true, select: false },
    },
    relations: {
      aggregate: {
        type: 'many-to-one',
        target: 'AggregateEntity',
        joinColumn: {
          name: 'aggregate_key',
          referencedColumnName: 'key',
          foreignKeyConstraintName: 'domain_events_aggregate_fkey',
        },
        nullable: false,
      },
    },
    uniques: [
      { name: 'domain_events_event_id_unique', columns: ['eventId'] },
      { name: 'domain_events_aggregate_version_unique', columns: ['aggregateKey', 'version'] },
    ],
  });
