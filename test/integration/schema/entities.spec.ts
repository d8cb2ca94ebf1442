import { beforeAll, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import {
  AggregateEntity,
  BinaryCodec,
  DomainEventEntity,
  eventStoreEntities,
} from 'nest-event-store';
import { openStore } from '../../support/store.ts';
import { counted, counter, schema } from './counters.ts';
import { useStore } from '../../support/use-store.ts';

const given = useStore({ allowRemoval: true });

describe('the TypeORM entities', () => {
  const entityTables = ['aggregates', 'domain_events'];
  let source: DataSource;

  beforeAll(async () => {
    source = await given.database.dataSource({ entities: eventStoreEntities() });
  });

  it('read rows as they are, each event with its aggregate', async () => {
    const aggregate = counter('read');
    const binary = await openStore(given.dataSource, { codec: new BinaryCodec() });
    const { records } = await binary.append(aggregate, counted(1, 2), {
      metadata: { actor: 'ada' },
    });
    await binary.snapshot(aggregate, { total: 3 }, 2);

    const rows = await source.getRepository(DomainEventEntity).find({
      where: { aggregate },
      relations: { aggregate: true },
      order: { position: 'ASC' },
    });
    expect(rows).toHaveLength(2);
    const [record] = records;
    expect(rows[0]).toEqual({
      position: String(record!.position),
      eventId: record!.id,
      aggregateKey: rows[0]!.aggregate.key,
      version: '1',
      type: 'counter.counted',
      revision: 1,
      payload: { by: 1 },
      binaryPayload: expect.any(Buffer),
      metadata: { actor: 'ada' },
      recordedAt: record!.recordedAt,
      aggregate: {
        key: expect.stringMatching(/^\d+$/),
        ...aggregate,
        version: '2',
        removedVersion: '0',
        snapshotVersion: '2',
        snapshotRevision: 1,
        snapshotState: { total: 3 },
        snapshotBinary: expect.any(Buffer),
        snapshotTakenAt: expect.any(Date),
      },
    });
    expect(rows[1]!.aggregate).toBeInstanceOf(AggregateEntity);
  });

  it('describe every column of their tables as the database does', async () => {
    const rows: Record<string, unknown>[] = await source.query(
      `SELECT table_name AS table, column_name AS column, data_type AS type,
        is_nullable = 'YES' AS nullable, collation_name AS collation
      FROM information_schema.columns WHERE table_schema = $1 AND table_name = ANY ($2)`,
      [schema, entityTables],
    );
    const described = source.entityMetadatas.flatMap(({ schema: of, tableName, columns }) => {
      expect(of).toBe(schema);
      return columns.map((column) => ({
        table: tableName,
        column: column.databaseName,
        type: source.driver.normalizeType(column),
        nullable: column.isNullable,
        collation: column.collation ?? null,
      }));
    });
    expect(new Set(described)).toEqual(new Set(rows));
    expect(described).toHaveLength(rows.length);
  });

  it('describe every key, unique and foreign, as the database does', async () => {
    const rows: Record<string, unknown>[] = await source.query(
      `SELECT r.relname AS table, c.conname AS name, c.contype AS kind, f.relname AS references,
        ARRAY(
          SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY AS k (number, n)
          JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.number ORDER BY k.n
        ) AS columns
      FROM pg_constraint AS c
      JOIN pg_class AS r ON r.oid = c.conrelid
      LEFT JOIN pg_class AS f ON f.oid = c.confrelid
      WHERE c.connamespace = $1::regnamespace AND c.contype IN ('p', 'u', 'f')
        AND r.relname = ANY ($2)`,
      [schema, entityTables],
    );
    const names = (columns: { databaseName: string }[]) => columns.map((each) => each.databaseName);
    const described = source.entityMetadatas.flatMap((entity) => [
      {
        table: entity.tableName,
        name: `${entity.tableName}_pkey`,
        kind: 'p',
        references: null,
        columns: names(entity.primaryColumns),
      },
      ...entity.uniques.map((unique) => ({
        table: entity.tableName,
        name: unique.name,
        kind: 'u',
        references: null,
        columns: names(unique.columns),
      })),
      ...entity.foreignKeys.map((key) => ({
        table: entity.tableName,
        name: key.name,
        kind: 'f',
        references: key.referencedEntityMetadata.tableName,
        columns: names(key.columns),
      })),
    ]);
    expect(new Set(described)).toEqual(new Set(rows));
  });

  it('give TypeORM nothing to alter', async () => {
    const { upQueries } = await source.driver.createSchemaBuilder().log();
    expect(upQueries.map(({ query }) => query)).toEqual([]);
  });
});
