import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { EventLogVerifier } from 'nest-event-store';
import { Migrator } from '../../../lib/postgres/schema/migrator.ts';
import { PostgresChainedLog } from '../../../lib/postgres/evidence/postgres.chained-log.ts';
import { eventually } from '../../support/eventually.ts';
import { openStore } from '../../support/store.ts';
import {
  aggregates,
  counter,
  events,
  expectClean,
  named,
  positions,
  privateKey,
  publicKey,
  schema,
  useChainedLog,
} from './use-chained-log.ts';

const given = useChainedLog();
const { someEvents, appendAtRandom, behindTheBack, pickEvent } = given;

describe('an unaltered log', () => {
  it('verifies, however it was appended to, even while the chain was switched on', async () => {
    const report = await given.verifier.verify({ anchors: given.anchors, publicKey });
    const [{ stored, unhashed, removed }] = await given.dataSource.query(
      `SELECT count(*)::integer AS stored, count(*) FILTER (WHERE hash IS NULL)::integer AS unhashed,
        (SELECT count(*)::integer FROM ${schema}.removed_hashes) AS removed FROM ${events}`,
    );
    expectClean(report);
    expect(report).toMatchObject({ events: stored, unhashed, removed, anchors: 3 });
    expect(report.upTo).toBe(given.lastPosition);
    expect(Math.min(unhashed, stored - unhashed, removed)).toBeGreaterThan(0);
  });

  it('verifies during appends, and is anchored by several at once', async () => {
    const file = join(given.directory, 'busy.jsonl');
    const anchor = () => given.verifier.anchor(file, { privateKey });
    await Promise.all([anchor(), anchor(), anchor(), anchor()]);
    const anchored = async () => {
      await anchor();
      return given.verifier.verify({ anchors: file, publicKey });
    };
    await given.dataSource.transaction(async (manager) => {
      await given.stores[0]!.append(counter(50), someEvents(), { manager });
      const appends = appendAtRandom(40);
      for (const report of await Promise.all([anchored(), anchored()])) expectClean(report);
      await appends;
    });
    const report = await anchored();
    expectClean(report);
    expect(report).toMatchObject({ anchors: 7, anchoredUpTo: report.upTo });
  });

  it('verifies with events of a transaction that was open when the chain was switched on', async () => {
    const store = await openStore(given.dataSource, { schema: 'switched' });
    const switching = await given.dataSource.transaction(async (manager) => {
      await store.append(counter(1), someEvents(), { manager });
      const migrator = new Migrator(given.dataSource, 'switched', { hashChain: true });
      const done = migrator.run();
      await eventually(async () => {
        const waiting = `SELECT FROM pg_locks WHERE NOT granted
          AND relation = 'switched.domain_events'::regclass`;
        return (await given.dataSource.query(waiting)).length > 0;
      });
      await store.append(counter(2), someEvents(), { manager });
      return { done };
    });
    await switching.done;
    await store.append(counter(2), someEvents());
    const report = await new EventLogVerifier(
      new PostgresChainedLog(given.dataSource, 'switched'),
    ).verify();
    expectClean(report);
    expect(report.chainStart).toBe(report.unhashed);
  });

  it('verifies against its anchors, although removeEvents has removed a part of it', async () => {
    const before = await given.verifier.verify();
    const removed = await given.stores[0]!.removeEvents(counter(3));
    await given.stores[0]!.append(counter(3), someEvents());
    const report = await given.verifier.verify({ anchors: given.anchors, publicKey });
    expectClean(report);
    expect(report.removed).toBe(before.removed + removed);
  });
});

describe('an event', () => {
  const bytes = `set_byte(binary_payload, 1, (get_byte(binary_payload, 1) + 1) % 256)`;
  it.each([
    ['payload', `payload = payload || '{"by": 0}'`],
    ['binary payload', `binary_payload = coalesce(${bytes}, '')`],
    ['metadata', `metadata = '{"actor": "mallory"}'`],
    ['type', `type = 'counter.discounted'`],
    ['revision', 'revision = 2'],
    ['time', `recorded_at = recorded_at + interval '1 microsecond'`],
    ['id', 'event_id = gen_random_uuid()'],
    ['hash', 'hash = sha256(hash)'],
  ])('whose %s was changed is named, with the hash that it should have', async (_, change) => {
    for (let round = 0; round < 3; round++) {
      const victim = await pickEvent();
      await behindTheBack(`UPDATE ${events} SET ${change} WHERE position = ${victim.position}`);
      const { findings } = await given.verifier.verify();
      const finding = findings.find(({ position }) => position === victim.position);
      expect(finding).toEqual(named('changed', victim));
      expect([finding!.stored, finding!.expected].join(' ')).toMatch(/^(?!(\w+) \1)\w{64} \w{64}$/);
    }
  });

  it('that was changed together with its hash is named at the next event of its aggregate', async () => {
    const victim = await pickEvent();
    await behindTheBack(
      `UPDATE ${events} SET payload = '{"by": 0}' WHERE position = ${victim.position}`,
    );
    const [changed] = (await given.verifier.verify()).findings;
    await behindTheBack(
      `UPDATE ${events} SET hash = '\\x${changed!.expected}' WHERE position = ${victim.position}`,
    );
    expect((await given.verifier.verify()).findings).toEqual([
      named('changed', { ...victim, version: victim.version + 1, position: victim.next }),
    ]);
  });

  it('whose place in the log or aggregate was changed is named', async () => {
    const victim = await pickEvent();
    const { position, aggregate, version, key } = victim;
    await behindTheBack(
      `UPDATE ${events} SET position = ${given.lastPosition + 1} WHERE position = ${position}`,
      `SELECT setval('${positions}', ${given.lastPosition + 1})`,
    );
    expect((await given.verifier.verify()).findings).toContainEqual(
      named('changed', { aggregate, version, position: given.lastPosition + 1 }),
    );
    await behindTheBack(`UPDATE ${aggregates} SET id = 'renamed' WHERE key = ${key}`);
    expect((await given.verifier.verify()).findings).toContainEqual(
      named('changed', {
        aggregate: { ...aggregate, id: 'renamed' },
        version: version + 1,
        position: victim.next,
      }),
    );
    await behindTheBack(`DELETE FROM ${aggregates} WHERE key = ${key}`);
    expect((await given.verifier.verify()).findings).toContainEqual(
      expect.objectContaining({ kind: 'missing', version: version + 1, position: victim.next }),
    );
  });

  it('that was removed is named by its version and the position of the next', async () => {
    for (let round = 0; round < 3; round++) {
      const victim = await pickEvent();
      await behindTheBack(`DELETE FROM ${events} WHERE position = ${victim.position}`);
      const { findings } = await given.verifier.verify();
      expect(findings).toContainEqual(named('missing', { ...victim, position: victim.next }));
    }
  });

  it('that was removed with all later ones is named by its version', async () => {
    const { aggregate, key, version } = await pickEvent();
    await behindTheBack(
      `DELETE FROM ${events} WHERE aggregate_key = ${key} AND version >= ${version}`,
    );
    expect((await given.verifier.verify()).findings).toEqual([
      expect.objectContaining({ kind: 'missing', aggregate, version }),
    ]);
  });

  it('that was removed as if by removeEvents is named', async () => {
    const victim = await pickEvent();
    await given.dataSource.transaction(async (manager) => {
      await manager.query(`SELECT set_config('event_store.removal', '${schema}', true)`);
      await manager.query(`DELETE FROM ${events} WHERE position = ${victim.position}`);
    });
    expect((await given.verifier.verify()).findings).toContainEqual(named('missing', victim));
  });

  const columns = [
    ...['position', 'event_id', 'aggregate_key', 'version', 'type', 'revision', 'payload'],
    ...['binary_payload', 'metadata', 'recorded_at', 'hash'],
  ];
  it.each([
    ['payloads', ['payload', 'binary_payload']],
    ['positions', ['position']],
    ['places', ['aggregate_key', 'version']],
    ['everything but the place', columns.filter((name) => !/position|key|version/.test(name))],
  ])('that has exchanged %s with another one is named, and so is the other', async (_, swapped) => {
    const one = await pickEvent();
    const other = await pickEvent(one);
    const pair = `(${one.position}, ${other.position})`;
    const exchanged = columns.map((name) => `${swapped.includes(name) ? 'o' : 'e'}.${name}`);
    await behindTheBack(
      `CREATE TEMPORARY TABLE exchanged ON COMMIT DROP AS SELECT ${exchanged.join(', ')}
        FROM ${events} AS e, ${events} AS o
        WHERE e.position IN ${pair} AND o.position IN ${pair} AND e.position <> o.position`,
      `DELETE FROM ${events} WHERE position IN ${pair}`,
      `INSERT INTO ${events} (${columns.join(', ')}) SELECT * FROM exchanged`,
    );
    const { findings } = await given.verifier.verify();
    for (const { position } of [one, other]) {
      expect(findings).toContainEqual(expect.objectContaining({ kind: 'changed', position }));
    }
  });

  const forge = (key: number | string, version: number | string, hash: string) =>
    `INSERT INTO ${events} SELECT ${given.lastPosition + 1}, gen_random_uuid(), ${key}, ${version},
      'counter.counted', 1, '{"by": 1}', NULL, '{}', now(), ${hash}`;
  it.each([
    ['without a hash', 'forged', 'NULL'],
    ['with any hash', 'changed', `sha256('any')`],
  ] as const)('that was inserted %s is named', async (_, kind, hash) => {
    const { aggregate, key } = await pickEvent();
    await behindTheBack(
      `UPDATE ${aggregates} SET version = version + 1 WHERE key = ${key}`,
      forge(key, `(SELECT version FROM ${aggregates} WHERE key = ${key})`, hash),
      `SELECT setval('${positions}', ${given.lastPosition + 1})`,
    );
    expect((await given.verifier.verify()).findings).toEqual([
      expect.objectContaining({ kind, aggregate, position: given.lastPosition + 1 }),
    ]);
  });

  it('that was inserted beyond the version of its aggregate, or among removed ones, is named', async () => {
    const { aggregate, key } = await pickEvent();
    await behindTheBack(
      forge(key, 1_000, 'NULL'),
      `SELECT setval('${positions}', ${given.lastPosition + 1})`,
    );
    expect((await given.verifier.verify()).findings).toEqual([
      named('forged', { aggregate, version: 1_000, position: given.lastPosition + 1 }),
    ]);
    await behindTheBack(
      `UPDATE ${events} SET version = 1,
        aggregate_key = (SELECT key FROM ${aggregates} WHERE id = 'c-19')
        WHERE position = ${given.lastPosition + 1}`,
    );
    expect((await given.verifier.verify()).findings).toContainEqual(
      named('forged', { aggregate: counter(19), version: 1, position: given.lastPosition + 1 }),
    );
  });
});
