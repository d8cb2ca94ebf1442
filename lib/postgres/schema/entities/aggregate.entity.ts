import { EntitySchema } from 'typeorm';

/** A row of `aggregates`: one aggregate, its version, and its last snapshot. For reading only. */
export class AggregateEntity {
  /** A bigint, as text. */
  key!: string;
  type!: string;
  id!: string;
  /** A bigint, as text. */
  version!: string;
  removedVersion!: string;
  snapshotVersion!: string | null;
  snapshotRevision!: number | null;
  snapshotState!: object | null;
  snapshotBinary!: Buffer | null;
  snapshotTakenAt!: Date | null;
  /** The hash that `verify` checks. Read only by queries that select it. */
  snapshotHash?: Buffer | null;
}

export const aggregateEntity = (schema: string): EntitySchema<AggregateEntity> =>
  new EntitySchema<AggregateEntity>({
    name: 'AggregateEntity',
    target: AggregateEntity,
    schema,
    tableName: 'aggregates',
    // The migrations create the table; TypeORM must never alter it.
    synchronize: false,
    columns: {
      key: { type: 'bigint', primary: true },
      type: { type: 'text', collation: 'C' },
      id: { type: 'text', collation: 'C' },
      version: { type: 'bigint' },
      removedVersion: { type: 'bigint', name: 'removed_version', default: 0 },
      snapshotVersion: { type: 'bigint', name: 'snapshot_version', nullable: true },
      snapshotRevision: { type: 'integer', name: 'snapshot_revision', nullable: true },
      snapshotState: { type: 'jsonb', name: 'snapshot_state', nullable: true },
      snapshotBinary: { type: 'bytea', name: 'snapshot_binary', nullable: true },
      snapshotTakenAt: { type: 'timestamptz', name: 'snapshot_taken_at', nullable: true },
      snapshotHash: { type: 'bytea', name: 'snapshot_hash', nullable: true, select: false },
    },
    uniques: [{ name: 'aggregates_type_id_unique', columns: ['id', 'type'] }],
  });
