import { beforeAll, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { DomainEvent, type EventRecord } from 'nest-event-store';
import { startOfLog } from '../../lib/store/reading/log-place.ts';
import { consumer, startConsumers } from '../support/consumers.ts';
import { Counted, openStore, type TestStore } from '../support/store.ts';
import { useDatabase } from '../support/use-store.ts';

@DomainEvent('file.uploaded')
class Uploaded {
  constructor(readonly content: string) {}
}

@DomainEvent('file.rare')
class Rare {
  constructor(readonly n: number) {}
}

const kilobyte = 1_024;
const events = [Counted, Uploaded, Rare];

const database = useDatabase();
let dataSource: DataSource;

beforeAll(async () => {
  dataSource = await database.dataSource();
});

const collect = async (records: AsyncIterable<EventRecord>): Promise<EventRecord[]> => {
  const all: EventRecord[] = [];
  for await (const record of records) all.push(record);
  return all;
};
const versionsOf = (records: readonly EventRecord[]) => records.map(({ version }) => version);

describe('a page of large events', () => {
  const file = { type: 'file', id: 'f' };
  const count = 30;
  const versions = Array.from({ length: count }, (_, n) => n + 1);
  let store: TestStore;

  // Text that compresses well: on the disk all of it takes a few kilobytes.
  beforeAll(async () => {
    store = await openStore(dataSource, { schema: 'large', events });
    for (let n = 0; n < count; n++) {
      await store.append(file, [
        new Uploaded(
          String(n)
            .repeat(512 * kilobyte)
            .slice(0, 512 * kilobyte),
        ),
      ]);
    }
  });

  it('ends by its bytes, and the next one continues after it', async () => {
    const pages: number[] = [];
    for (let step = await store.log.readOn(startOfLog, { limit: 1_000 }); ;) {
      expect(step.bytes).toBeLessThan(4.6 * kilobyte ** 2);
      pages.push(step.records.length);
      if (step.atEnd) break;
      step = await store.log.readOn(step, { limit: 1_000 });
    }
    expect(pages).toEqual([8, 8, 8, 6]);
  });

  it('is the last one that fetch returns only if it is empty', async () => {
    const seen: EventRecord[] = [];
    for (let page = await store.fetch(); page.records.length > 0;) {
      expect(page.records.length).toBeLessThanOrEqual(8);
      seen.push(...page.records);
      page = await store.fetch(page.position);
    }
    expect(versionsOf(seen)).toEqual(versions);
    const { position } = seen.at(-1)!;
    expect(await store.fetch(position)).toEqual({ position, records: [] });
  });

  it('is also short when read backward or for one aggregate', async () => {
    const backward = { direction: 'backward' } as const;
    expect(versionsOf((await store.fetch(0, backward)).records)).toEqual(
      versions.toReversed().slice(0, 8),
    );
    expect(versionsOf((await store.fetchByAggregate(file)).records)).toEqual(versions.slice(0, 8));
    expect(versionsOf((await store.fetchByAggregate(file, 0, backward)).records)).toEqual(
      versions.toReversed().slice(0, 8),
    );
  });

  it('does not end a stream', async () => {
    const backward = { direction: 'backward' } as const;
    expect(versionsOf(await collect(store.stream()))).toEqual(versions);
    expect(versionsOf(await collect(store.stream(0, backward)))).toEqual(versions.toReversed());
    expect(versionsOf(await collect(store.streamByAggregate(file)))).toEqual(versions);
    expect(versionsOf(await collect(store.streamByAggregate(file, 0, backward)))).toEqual(
      versions.toReversed(),
    );
  });

  it('bounds the batch of a projection', async () => {
    const batches: number[] = [];
    const { control, stop } = await startConsumers(dataSource, store, [
      consumer('files', async (records) => void batches.push(records.length), {
        events: [Uploaded],
      }),
    ]);
    await control.waitFor('files', await store.currentPosition());
    await stop();
    expect(batches.reduce((sum, each) => sum + each)).toBe(count);
    expect(Math.max(...batches)).toBeLessThanOrEqual(8);
  });
});

describe('a rare type in a long log', () => {
  const others = 25_000;
  let store: TestStore;

  beforeAll(async () => {
    store = await openStore(dataSource, { schema: 'rare', events });
    const aggregate = { type: 'counter', id: 'c' };
    for (let n = 0; n < others; n += 5_000) {
      await store.append(
        aggregate,
        Array.from({ length: 5_000 }, () => new Counted(1)),
      );
    }
    await store.append({ type: 'file', id: 'r' }, [new Rare(1)]);
    await store.append(aggregate, [new Counted(1)]);
  });

  it('is read in steps that end after a number of skipped events', async () => {
    const positions: number[] = [];
    const found: EventRecord[] = [];
    for (let step = await store.log.readOn(startOfLog, { types: ['file.rare'], limit: 10 }); ;) {
      positions.push(step.position);
      found.push(...step.records);
      if (step.atEnd) break;
      step = await store.log.readOn(step, { types: ['file.rare'], limit: 10 });
    }
    expect(positions).toEqual([10_000, 20_000, others + 2]);
    expect(found.map(({ position }) => position)).toEqual([others + 1]);
  });

  it('is found by fetch and stream, whatever comes before or after it', async () => {
    const types = [Rare];
    const page = await store.fetch(0, { types });
    expect(page).toMatchObject({ position: others + 2, records: [{ position: others + 1 }] });
    expect(await store.fetch(0, { types: ['file.never'] })).toEqual({
      position: others + 2,
      records: [],
    });
    const last = await store.fetch(0, { types, limit: 1, direction: 'backward' });
    expect(last.records).toMatchObject([{ position: others + 1 }]);
    expect(await store.fetch(others, { types, direction: 'backward' })).toEqual({
      position: others + 2,
      records: [],
    });
    expect(await collect(store.stream(0, { types, limit: 1 }))).toHaveLength(1);
    expect(await collect(store.stream(0, { aggregateTypes: ['file'] }))).toHaveLength(1);
  });

  it('advances a consumer, whose progress is saved on the way', async () => {
    // As on a server where a whole page takes longer than the time limit allows, and a short one does not.
    await dataSource.query(`ALTER FUNCTION "rare".read_log RENAME TO unhurried`);
    await dataSource.query(`
      CREATE FUNCTION "rare".read_log(
        p_after bigint, p_limit integer, p_types text[], p_aggregate_types text[], p_backward boolean,
        p_scan integer DEFAULT 10000, p_bytes integer DEFAULT 4194304, p6 bigint DEFAULT NULL,
        p7 uuid DEFAULT NULL, p8 text DEFAULT NULL, p9 text DEFAULT NULL, p10 bigint DEFAULT NULL
      ) RETURNS TABLE (
        head bigint, reached bigint, at_end boolean, diverged boolean, "position" bigint, event_id uuid,
        aggregate_type text, aggregate_id text, version bigint, type text, revision integer,
        payload jsonb, binary_payload bytea, metadata jsonb, recorded_at bigint
      ) LANGUAGE plpgsql AS $function$
      BEGIN
        IF p_scan > 3000 THEN
          PERFORM pg_sleep(3600);
        END IF;
        RETURN QUERY SELECT * FROM "rare".unhurried(
          p_after, p_limit, p_types, p_aggregate_types, p_backward, p_scan, p_bytes, p6, p7, p8, p9, p10);
      END $function$`);
    await dataSource.query(`
      CREATE TABLE "rare".saved (position bigint);
      CREATE FUNCTION "rare".note_saved() RETURNS trigger LANGUAGE plpgsql AS $function$
      BEGIN
        INSERT INTO "rare".saved VALUES (NEW.position);
        RETURN NULL;
      END $function$;
      CREATE TRIGGER note_saved AFTER UPDATE ON "rare".checkpoints
      FOR EACH ROW EXECUTE FUNCTION "rare".note_saved()`);
    const limited = await database.dataSource({ poolSize: 1 });
    const slow = await openStore(limited, { schema: 'rare', events });
    await limited.query(`SET statement_timeout = '1s'`);
    const seen: number[] = [];
    const { control, stop } = await startConsumers(dataSource, slow, [
      consumer(
        'rare',
        async (records) => void seen.push(...records.map(({ position }) => position)),
        {
          events: [Rare],
        },
      ),
    ]);
    await control.waitFor('rare', others + 2);
    await stop();
    expect(seen).toEqual([others + 1]);
    const reached = await dataSource.query(`SELECT DISTINCT position FROM "rare".saved`);
    expect(reached.length).toBeGreaterThan(2);
  });
});
