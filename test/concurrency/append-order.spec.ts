import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { DomainEvent } from '../../lib/events/domain-event.decorator.ts';
import type { AggregateRef } from '../../lib/store/aggregate-ref.ts';
import { untilInlineInUse } from '../../lib/module/until-inline-in-use.ts';
import { consumer, startConsumers, type TestProcess } from '../support/consumers.ts';
import { random, seed } from '../support/random.ts';
import { Counted, openStore, type TestStore } from '../support/store.ts';
import { useDatabase } from '../support/use-store.ts';

/** Concerns an inline projection, so its appends need a transaction of their own. */
@DomainEvent('counter.projected')
class Projected {
  constructor(readonly by: number) {}
}

/** Its schema answers late. */
@DomainEvent('counter.checked', {
  schema: {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: async (value) => {
        await delay((value as Counted).by % 4);
        return { value };
      },
    },
  },
})
class Checked {
  constructor(readonly by: number) {}
}

const ref = (id: string): AggregateRef => ({ type: 'counter', id });

const database = useDatabase();

describe('appends that are called before earlier ones are answered', () => {
  let dataSource: DataSource;
  let others: DataSource;
  let store: TestStore;
  let consumers: TestProcess;
  const testSeed = seed();

  beforeAll(async () => {
    dataSource = await database.dataSource({ poolSize: 12 });
    others = await database.dataSource();
    const events = [Counted, Projected, Checked];
    store = await openStore(dataSource, { events, lockTimeoutMs: 60_000 });
    const inline = consumer('inline', async (records) => delay(records[0]!.position % 3), {
      kind: 'inline-projection',
      events: [Projected],
    });
    store.applyInline([inline]);
    consumers = await startConsumers(dataSource, store, [inline]);
    await untilInlineInUse(['inline'], consumers);
  });
  afterAll(async () => {
    await consumers.stop();
  });

  it('are stored in call order per aggregate, on every path and beside other transactions', async () => {
    const choices = random(testSeed);
    const aggregates = Array.from({ length: 12 }, (_, n) => ref(`mixed-${n}`));
    for (const aggregate of aggregates.slice(0, 5)) await store.append(aggregate, []);
    let calling = true;
    // Like other processes: hold aggregates for a while, and create those that do not exist yet.
    const holding = [1, 2, 3].map(async (n) => {
      const { pick, integer } = random(testSeed + n);
      while (calling) {
        await others.transaction(async (manager) => {
          const values = ['counter', pick(aggregates).id];
          const insert = `INSERT INTO event_store.aggregates (type, id, version) VALUES ($1, $2, 0)`;
          await manager.query(`${insert} ON CONFLICT DO NOTHING`, values);
          await manager.query(
            `SELECT FROM event_store.aggregates WHERE type = $1 AND id = $2 FOR UPDATE`,
            values,
          );
          await delay(integer(0, 90));
        });
        await delay(integer(0, 10));
      }
    });

    const called = new Map(aggregates.map(({ id }) => [id, [] as number[]]));
    const note = (aggregate: AggregateRef, n: number) => called.get(aggregate.id)!.push(n);
    const appending: Promise<unknown>[] = [];
    for (let n = 0; n < 600; n++) {
      const aggregate = choices.pick(aggregates);
      note(aggregate, n);
      const kind = choices.integer(0, 9);
      if (kind >= 7) {
        const other = choices.pick(aggregates);
        note(other, n);
        const events = [kind === 7 ? new Projected(n) : new Counted(n)];
        appending.push(
          store.appendAll([aggregate, other].map((each) => ({ aggregate: each, events }))),
        );
      } else {
        const event = kind < 4 ? new Counted(n) : kind < 6 ? new Projected(n) : new Checked(n);
        appending.push(store.append(aggregate, [event]));
      }
      if (choices.next() < 0.1) await delay(choices.integer(0, 5));
    }
    await Promise.all(appending);
    calling = false;
    await Promise.all(holding);

    for (const aggregate of aggregates) {
      const { records } = await store.fetchByAggregate(aggregate, 0, { limit: 1_000 });
      const stored = records.map(({ event }) => (event as Counted).by);
      expect([aggregate.id, stored]).toEqual([aggregate.id, called.get(aggregate.id)]);
    }
  });

  it('are stored in call order while another transaction is creating their aggregate', async () => {
    const { integer } = random(testSeed);
    for (let round = 0; round < 15; round++) {
      const aggregates = [1, 2, 3].map((n) => ref(`created-${round}-${n}`));
      const appending = await others.transaction(async (manager) => {
        await manager.query(
          `INSERT INTO event_store.aggregates (type, id, version) SELECT 'counter', unnest($1::text[]), 0`,
          [aggregates.map(({ id }) => id)],
        );
        const called = [1, 2, 3, 4].flatMap((n) =>
          aggregates.map((aggregate) => store.append(aggregate, [new Counted(n)])),
        );
        // A batch waits 50 ms for each, is halved, and sent again.
        await delay(integer(40, 240));
        return called;
      });
      await Promise.all(appending);
      for (const aggregate of aggregates) {
        const { records } = await store.fetchByAggregate(aggregate);
        expect(records.map(({ event }) => (event as Counted).by)).toEqual([1, 2, 3, 4]);
      }
    }
  });
});
