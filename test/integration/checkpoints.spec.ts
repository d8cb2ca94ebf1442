import { beforeAll, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { markOf } from '../../lib/store/reading/log-place.ts';
import { postgresConsumers } from '../../lib/postgres/subscriptions/postgres.consumers.ts';
import { LeaseLostError } from '../../lib/subscriptions/subscriptions.errors.ts';
import { consumer } from '../support/consumers.ts';
import { Counted, openStore } from '../support/store.ts';
import { useDatabase } from '../support/use-store.ts';

const database = useDatabase();
let dataSource: DataSource;

beforeAll(async () => {
  dataSource = await database.dataSource();
});

it('A checkpoint that was given back is not moved by its former owner', async () => {
  const schema = 'given_back';
  const store = await openStore(dataSource, { schema });
  const { position } = await store.append({ type: 'counter', id: 'a' }, [new Counted(1)]);
  const { registry, checkpoints, generations, signals } = postgresConsumers(dataSource, {
    schema,
    preparedStatements: true,
    listen: false,
  });
  await signals.start(() => undefined);
  const counting = consumer('counting', async () => undefined);
  await registry.register([counting]);
  await generations.prepare([counting]);
  const [held] = await checkpoints.hold('owner', ['counting'], 60_000);
  await checkpoints.release('owner', [held!]);
  const progress = { position, mark: null, status: 'live', eventsPerSecond: 0 } as const;
  await expect(checkpoints.save(held!, progress)).rejects.toThrow(LeaseLostError);
  const failure = { error: new Error('late'), position, failures: 1 };
  await expect(checkpoints.fail(held!, 'stopped', failure)).rejects.toThrow(LeaseLostError);
  const [row] = await dataSource.query(`SELECT position, error FROM ${schema}.checkpoints`);
  expect(row).toEqual({ position: '0', error: null });
  await signals.stop();
});

it('A sequence that is set back while checkpoints are checked is not taken for a lost log', async () => {
  const schema = 'set_back';
  const store = await openStore(dataSource, { schema });
  const { position, records } = await store.append({ type: 'counter', id: 'a' }, [new Counted(1)]);
  const { registry, checkpoints, generations } = postgresConsumers(dataSource, {
    schema,
    preparedStatements: true,
    listen: false,
  });
  const counting = consumer('counting', async () => undefined);
  await registry.register([counting]);
  await generations.prepare([counting]);
  const [held] = await checkpoints.hold('owner', ['counting'], 60_000);
  const mark = markOf(records[0]!);
  await checkpoints.save(held!, { position, mark, status: 'live', eventsPerSecond: 0 });
  // After the check of the sequence that every call begins with.
  await dataSource.query(`
    ALTER SEQUENCE ${schema}.positions MINVALUE 0;
    CREATE FUNCTION ${schema}.set_back() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM setval('${schema}.positions', 0);
      RETURN NULL;
    END $$;
    CREATE TRIGGER set_back AFTER UPDATE ON ${schema}.consumer_processes
      FOR EACH ROW EXECUTE FUNCTION ${schema}.set_back()`);
  const [again] = await checkpoints.hold('owner', ['counting'], 60_000);
  const [sequence] = await dataSource.query(
    `SELECT last_value::float8 AS last FROM ${schema}.positions`,
  );
  expect(sequence).toEqual({ last: 0 });
  expect(again).toMatchObject({ position, diverged: false });
  await expect(checkpoints.hold('owner', ['counting'], 60_000)).rejects.toThrow('is at 0');
});
