import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { EntityManager } from 'typeorm';
import type { EventRecord } from '../../lib/events/event-record.ts';
import { postgresConsumers } from '../../lib/postgres/subscriptions/postgres.consumers.ts';
import { ConsumerHost } from '../../lib/subscriptions/running/consumer-host.ts';
import type { Delivery } from '../../lib/subscriptions/delivery/delivery.ts';
import { consumer } from '../support/consumers.ts';
import { eventually } from '../support/eventually.ts';
import { Gates } from '../support/ledger/gates.ts';
import { Counted } from '../support/store.ts';
import { useStore } from '../support/use-store.ts';

const given = useStore();

describe('a process that learns late which leases it holds', () => {
  beforeAll(async () => {
    await given.dataSource.query('CREATE TABLE counted (position bigint)');
  });

  it('does not repeat a batch that it has committed meanwhile', async () => {
    const gates = new Gates();
    const count = async (
      records: readonly EventRecord[],
      _: Delivery,
      manager: EntityManager | undefined,
    ): Promise<void> => {
      await gates.pass('batch');
      await manager!.query('INSERT INTO counted SELECT * FROM unnest($1::bigint[])', [
        records.map(({ position }) => position),
      ]);
    };
    const parts = postgresConsumers(given.dataSource, {
      schema: given.store.schema,
      preparedStatements: true,
      listen: false,
    });
    const { checkpoints, registry } = parts;
    const hold = checkpoints.hold.bind(checkpoints);
    checkpoints.hold = async (...values) => {
      const held = await hold(...values);
      await gates.pass('answer');
      answers += 1;
      return held;
    };
    let answers = 0;
    let committed = 0;
    const transaction = checkpoints.transaction.bind(checkpoints);
    checkpoints.transaction = async (...values) => {
      await transaction(...values);
      committed += 1;
    };
    const log = { warn: () => undefined, error: () => undefined };
    const storedTypes = () => ['counter.counted'];
    const host = new ConsumerHost(
      { ...parts, store: given.store, storedTypes, log },
      // No lease ends and no poll is due during the test.
      { leaseMs: 60_000, pollIntervalMs: 60_000 },
    );

    const look = async (): Promise<void> => {
      const before = answers;
      await host.announce();
      await eventually(() => answers > before);
    };

    gates.close('batch');
    await given.store.append({ type: 'counter', id: '1' }, [new Counted(1), new Counted(2)]);
    await host.start([consumer('counter', count)]);
    await gates.arrived('batch');
    // The consumer is released in the middle of the batch, and requested again before the batch ends.
    await registry.pause('counter');
    await look();
    await look();
    gates.close('answer');
    await registry.resume('counter');
    await host.announce();
    await gates.arrived('answer');
    gates.open('batch');
    await eventually(() => committed === 1);
    // Until the runner has ended.
    await delay(50);
    gates.open('answer');

    const { position } = await given.store.append({ type: 'counter', id: '1' }, [new Counted(3)]);
    await eventually(async () => (await registry.states())[0]!.position === position);
    await host.stop();
    const rows = await given.dataSource.query(
      'SELECT position::float8 FROM counted ORDER BY position',
    );
    expect(rows).toEqual([{ position: 1 }, { position: 2 }, { position: 3 }]);
  });
});
