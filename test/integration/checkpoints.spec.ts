import { beforeAll, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
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
