import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { postgresConsumers } from '../../lib/postgres/subscriptions/postgres.consumers.ts';
import { ConsumerStateError } from '../../lib/subscriptions/subscriptions.errors.ts';
import { consumer } from '../support/consumers.ts';
import { random, seed } from '../support/random.ts';
import { openStore } from '../support/store.ts';
import { useDatabase } from '../support/use-store.ts';

const database = useDatabase();

describe('a consumer that is forgotten while a process starts to run it', () => {
  let dataSource: DataSource;

  beforeAll(async () => {
    dataSource = await database.dataSource();
  });

  it('exists in the end, as the old one or as a new one', async () => {
    const { schema } = await openStore(dataSource);
    const { registry, checkpoints, signals } = postgresConsumers(dataSource, {
      schema,
      preparedStatements: true,
      listen: false,
    });
    const choices = random(seed());
    const both = ['a', 'b'].map((name) => consumer(name, async () => undefined));
    const outcomes = { refused: 0, forgotten: 0 };
    const haveMet = () => outcomes.forgotten > 0 && outcomes.refused > 0;
    for (let round = 0; round < 150 || !haveMet(); round += 1) {
      await registry.register(both);
      const owner = `process-${round}`;
      const forget = async (): Promise<void> => {
        await delay(choices.integer(0, 3));
        await registry.forget('b', {}).then(
          () => (outcomes.forgotten += 1),
          (error: unknown) => {
            expect(error).toBeInstanceOf(ConsumerStateError);
            outcomes.refused += 1;
          },
        );
      };
      const register = async (): Promise<void> => {
        await delay(choices.integer(0, 3));
        await registry.register(both, { owner, leaseMs: 60_000 });
      };
      await Promise.all([forget(), register()]);
      expect([...(await registry.reached(['a', 'b'])).keys()].toSorted()).toEqual(['a', 'b']);
      await checkpoints.release(owner);
    }
    await signals.stop();
  });
});
