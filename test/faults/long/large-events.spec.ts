import { afterAll, describe, expect, it } from '@jest/globals';
import { killAll, startProcess } from '../../support/processes.ts';
import { consumer, startConsumers } from '../../support/consumers.ts';
import { Counted, openStore } from '../../support/store.ts';
import { tally } from '../../support/tally.ts';
import { useStore } from '../../support/use-store.ts';
import type { LargeReader } from '../harness/large-reader.process.ts';
import { Uploaded } from '../harness/uploaded.ts';

const large = 1_600;
const others = 400_000;

const given = useStore({ events: [Counted, Uploaded] });

describe('a log that is large in every way', () => {
  afterAll(async () => {
    await killAll();
  });

  it('megabyte events are read by consumers and streams in a heap of 512 MB', async () => {
    for (let n = 0; n < large; n += 4) {
      const content = String(n).padStart(8, '0').repeat(127_000);
      await given.store.append({ type: 'file', id: `f-${n % 8 ? 'a' : 'b'}` }, [
        ...[1, 2, 3, 4].map((each) => new Uploaded(`${each}${content}`)),
      ]);
    }
    const reader = await startProcess<LargeReader>(
      new URL('../harness/large-reader.process.ts', import.meta.url),
      { url: given.database.url },
      ['--max-old-space-size=512'],
    );
    expect(await reader.call.stream()).toBe(large);
    expect(await reader.call.streamByAggregate('f-a')).toBe(large / 2);
    expect(await reader.call.consume(300_000)).toEqual([large, large, large, large]);
    await reader.stop();
    tally('F28', { lost: 0, doubled: 0, skipped: 0 });
  }, 600_000);

  it('a rare type is found although no scan of the log ends in time', async () => {
    await given.dataSource.query(`
      INSERT INTO event_store.aggregates (key, type, id, version) VALUES (1000000, 'counter', 'c', ${others});
      INSERT INTO event_store.domain_events
        (position, event_id, aggregate_key, version, type, revision, payload, metadata, recorded_at)
      SELECT
        nextval('event_store.positions'), gen_random_uuid(), 1000000, v, 'counter.counted', 1,
        '{"by": 1}', '{}', now()
      FROM generate_series(1, ${others}) AS v`);
    const { position } = await given.store.append({ type: 'file', id: 'rare' }, [
      new Uploaded('rare'),
    ]);
    const limited = await given.database.dataSource({ extra: { statement_timeout: 200 } });
    await expect(
      limited.query(
        `SELECT count(*) FROM event_store.domain_events AS e, generate_series(1, 5)
         WHERE md5(e.event_id::text) = '' AND e.type = 'file.uploaded' OR e.payload ? 'never'`,
      ),
    ).rejects.toMatchObject({ code: '57014' });
    const seen: number[] = [];
    const { control, stop } = await startConsumers(
      limited,
      await openStore(limited, { events: [Counted, Uploaded] }),
      [
        consumer(
          'rare',
          async (records) => void seen.push(...records.map((each) => each.position)),
          {
            events: [Uploaded],
          },
        ),
      ],
    );
    await control.reset('rare', large);
    await control.waitFor('rare', position, { timeoutMs: 60_000 });
    await stop();
    expect(seen.at(-1)).toBe(position);
    tally('F28', { lost: 0, skipped: 0 });
  }, 120_000);
});
