import { describe, expect, it } from '@jest/globals';
import { consumer } from '../../support/consumers.ts';
import { eventually } from '../../support/eventually.ts';
import { openStore } from '../../support/store.ts';
import { tally } from '../../support/tally.ts';
import { recordInto, useConsumers } from './use-consumers.ts';

const given = useConsumers();
const { start, append } = given;

describe('a lease', () => {
  it('is kept during a batch that takes longer, even in a pool of one connection', async () => {
    const single = await given.roles.dataSource('application', { max: 1 });
    const here = await openStore(single, { schema: given.store.schema });
    let calls = 0;
    let isRenewed = false;
    const slow = () =>
      consumer('slow', async (records, delivery, manager) => {
        calls += 1;
        while (!isRenewed) await manager!.query('SELECT pg_sleep(0.05)');
        await recordInto(given.store.schema)(records, delivery, manager);
      });
    const { position } = await append('a', 1, 2);
    const leaseMs = 3_000;
    const first = await start(single, here, [slow()], { leaseMs });
    await eventually(() => calls === 1);
    const second = await start(given.dataSource, given.store, [slow()], { leaseMs });
    const leases = `"${given.store.schema}".consumer_processes`;
    const ends = await given.dataSource.query(`SELECT owner, lease_expires_at FROM ${leases}`);
    await eventually(async () => {
      const renewed = await given.dataSource.query(
        `SELECT FROM ${leases} AS l, jsonb_to_recordset($1) AS b (owner text, lease_expires_at timestamptz)
         WHERE l.owner = b.owner AND l.lease_expires_at > b.lease_expires_at + $2 * interval '1 ms'`,
        [JSON.stringify(ends), leaseMs],
      );
      return renewed.length === 2;
    });
    isRenewed = true;
    await second.control.waitFor('slow', position);
    expect(calls).toBe(1);
    expect(first.messages.concat(second.messages)).toEqual([]);
  });

  it('that could not be renewed lets no further attempt begin', async () => {
    let calls = 0;
    await start(
      given.dataSource,
      given.store,
      [
        consumer(
          'fails',
          async () => {
            calls += 1;
            throw new Error('again');
          },
          { kind: 'handler', retry: { delayMs: () => 600 } },
        ),
      ],
      { leaseMs: 500 },
    );
    await append('a', 1);
    const isRetrying = `SELECT FROM "${given.store.schema}".checkpoints WHERE status = 'retrying'`;
    await eventually(async () => (await given.dataSource.query(isRetrying)).length === 1);
    await given.dataSource.transaction(async (manager) => {
      // The renewal has to wait, and the lease ends.
      const table = `"${given.store.schema}".consumer_processes`;
      await manager.query(`SELECT FROM ${table} FOR UPDATE`);
      const isOverBy = (seconds: number): Promise<boolean> =>
        eventually(async () => {
          const [row] = await manager.query(
            `SELECT lease_expires_at < clock_timestamp() - $1 * interval '1 s' AS over FROM ${table}`,
            [seconds],
          );
          return row.over;
        });
      await isOverBy(0);
      const before = calls;
      // The next attempt would have been due meanwhile.
      await isOverBy(0.9);
      expect(calls).toBe(before);
    });
  });

  it('that runs out again and again stops the consumer, with the event to blame', async () => {
    const all = [consumer('all', recordInto(given.store.schema))];
    const first = await start(given.dataSource, given.store, all);
    await first.stop();
    await append('a', 1);
    await given.dataSource.query(
      `UPDATE "${given.store.schema}".checkpoints
       SET owner = 'lost', takeovers = 9`,
    );
    const { control } = await start(given.dataSource, given.store, all);
    await eventually(async () => (await control.list()).consumers[0]!.status === 'stopped');
    expect((await control.list()).consumers[0]!.partitions[0]!.error!.message).toMatch(
      "HandlerCrashedError: The consumer 'all' was lost by 10 processes in a row",
    );
    await control.resume('all');
    await control.waitFor('all', 1);
    tally('F16', { acknowledged: given.acknowledged });
  });
});
