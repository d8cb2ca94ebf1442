import { generateKeyPairSync } from 'node:crypto';
import { appendFile, copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { Migrator } from '../../../lib/postgres/schema/migrator.ts';
import {
  aggregates,
  events,
  expectClean,
  positions,
  privateKey,
  publicKey,
  schema,
  type Victim,
  useChainedLog,
} from './use-chained-log.ts';

const given = useChainedLog();
const { behindTheBack, pickEvent } = given;

describe('an attacker that recomputes the hashes', () => {
  /** Writes the events of an aggregate again, changed by SQL: the chain itself hashes them. */
  const rewrite = async (key: number, change: string): Promise<void> => {
    await given.dataSource.transaction(async (manager) => {
      for (const sql of [
        'SET LOCAL session_replication_role = replica',
        `CREATE TEMPORARY TABLE rewritten ON COMMIT DROP AS
          SELECT * FROM ${events} WHERE aggregate_key = ${key} AND hash IS NOT NULL`,
        `DELETE FROM ${events} WHERE aggregate_key = ${key} AND hash IS NOT NULL`,
        change,
        'SET LOCAL session_replication_role = origin',
        `INSERT INTO ${events} SELECT * FROM rewritten ORDER BY version`,
      ]) {
        await manager.query(sql);
      }
    });
  };
  const linesOf = async (file: string) => (await readFile(file, 'utf8')).trimEnd().split('\n');
  interface Line {
    readonly after: number;
    readonly position: number;
  }
  /** An event that an anchor covers. */
  const pickAnchored = async (): Promise<Victim & { readonly interval: Line }> => {
    const lines = (await linesOf(given.anchors)).map((line) => JSON.parse(line) as Line);
    for (;;) {
      const victim = await pickEvent();
      const interval = lines.find((line) => line.position >= victim.last);
      if (interval) return { ...victim, interval };
    }
  };
  const disagreeing = ({ after, position }: Line) =>
    expect.objectContaining({
      kind: 'anchor',
      detail: expect.stringContaining(
        `After position ${after} and up to ${position}, the log is not`,
      ),
    });

  it.each<[string, (victim: Victim) => Promise<void>]>([
    [
      'of an aggregate with a changed event',
      ({ key, version }) =>
        rewrite(key, `UPDATE rewritten SET payload = '{"by": 0}' WHERE version >= ${version}`),
    ],
    [
      'of an aggregate without its last events',
      async ({ key, version }) => {
        await rewrite(key, `DELETE FROM rewritten WHERE version >= ${version}`);
        await behindTheBack(`UPDATE ${aggregates} SET version = ${version - 1} WHERE key = ${key}`);
      },
    ],
    [
      'after removing a whole aggregate',
      ({ key }) =>
        behindTheBack(
          `DELETE FROM ${events} WHERE aggregate_key = ${key}`,
          `DELETE FROM ${aggregates} WHERE key = ${key}`,
        ),
    ],
  ])('%s is found by the anchors alone, which name the interval', async (_, alter) => {
    const victim = await pickAnchored();
    await alter(victim);
    expectClean(await given.verifier.verify());
    const { findings } = await given.verifier.verify({ anchors: given.anchors, publicKey });
    expect(findings).toContainEqual(disagreeing(victim.interval));
  });

  it('of an event forged into a gap, as the store does, is found by the anchors alone', async () => {
    const [{ gap }] = await given.dataSource.query(
      `SELECT min(n) AS gap FROM generate_series(1, ${given.lastPosition}) AS n
      WHERE NOT EXISTS (SELECT FROM ${events} AS e WHERE e.position = n)
        AND NOT EXISTS (SELECT FROM ${schema}.removed_hashes AS r WHERE r.position = n)`,
    );
    await given.dataSource.query(
      `WITH forged AS (
        INSERT INTO ${aggregates} (type, id, version) VALUES ('counter', 'forged', 1) RETURNING key
      )
      INSERT INTO ${events} SELECT ${gap}, gen_random_uuid(), key, 1,
        'counter.counted', 1, '{"by": 1}', NULL, '{}', now() FROM forged`,
    );
    expectClean(await given.verifier.verify());
    const first = JSON.parse((await linesOf(given.anchors))[0]!) as Line;
    const { findings } = await given.verifier.verify({ anchors: given.anchors, publicKey });
    expect(findings).toContainEqual(disagreeing(first));
  });

  it('is found by the anchors after cutting off the end of the log', async () => {
    const { after, position } = JSON.parse((await linesOf(given.anchors)).at(-1)!) as Line;
    await behindTheBack(
      `DELETE FROM ${events} WHERE position > ${after}`,
      `UPDATE ${aggregates} AS g SET version = greatest(
        removed_version, (SELECT max(version) FROM ${events} AS e WHERE e.aggregate_key = g.key)
      )`,
    );
    expectClean(await given.verifier.verify());
    const { findings } = await given.verifier.verify({ anchors: given.anchors, publicKey });
    expect(findings).toEqual([disagreeing({ after, position })]);

    await given.dataSource.query(`SELECT setval('${positions}', ${after})`);
    const { findings: shorter, upTo } = await given.verifier.verify({
      anchors: given.anchors,
      publicKey,
    });
    expect(upTo).toBe(after);
    expect(shorter).toEqual([
      expect.objectContaining({
        kind: 'anchor',
        detail: expect.stringContaining(`The log ends at position ${after}`),
      }),
    ]);
    await expect(given.verifier.anchor(given.anchors, { privateKey })).rejects.toMatchObject({
      code: 'ANCHOR_FILE',
      reason: expect.stringContaining('is ahead of the log'),
    });
  });

  it('is found by the anchors after removing hashes, as if the chain had begun later', async () => {
    const trigger = 'domain_events_hash';
    const definition = `SELECT pg_get_triggerdef(oid) AS sql FROM pg_trigger WHERE tgname = '${trigger}'`;
    const [{ sql }] = await given.dataSource.query(definition);
    await behindTheBack(`UPDATE ${events} SET hash = NULL`, `DROP TRIGGER ${trigger} ON ${events}`);
    await expect(given.verifier.verify()).rejects.toMatchObject({ code: 'HASH_CHAIN_OFF', schema });
    await new Migrator(given.dataSource, schema, { hashChain: true }).run();
    expectClean(await given.verifier.verify());
    const { findings } = await given.verifier.verify({ anchors: given.anchors, publicKey });
    expect(findings.map(({ kind }) => kind)).toEqual(['anchor', 'anchor', 'anchor', 'anchor']);
    expect(findings[0]!.detail).toContain('the chain was off meanwhile');
    await given.dataSource.query(`DROP TRIGGER ${trigger} ON ${events}`);
    await given.dataSource.query(sql);
  });
});

describe('a file of anchors', () => {
  let file: string;
  let lines: string[];

  beforeEach(async () => {
    file = join(given.directory, 'altered.jsonl');
    await copyFile(given.anchors, file);
    lines = (await readFile(file, 'utf8')).split('\n').slice(0, 3);
  });

  const found = async () => (await given.verifier.verify({ anchors: file, publicKey })).findings;

  it.each<[string, (lines: string[]) => string[], string[]]>([
    [
      'with a changed line',
      ([a, b, c]) => [a!, b!.replace(/"events":\d+/, '"events":1'), c!],
      ['Line 2 of the anchors is not signed', 'Line 3 of the anchors does not follow'],
    ],
    [
      'with an invalid line',
      ([a, b, c]) => [a!, b!, 'null', c!],
      ['Line 3 of the anchors is not signed'],
    ],
    ['without its first line', ([, b, c]) => [b!, c!], ['Line 1 of the anchors does not follow']],
    ['without a line', ([a, , c]) => [a!, c!], ['Line 2 of the anchors does not follow']],
    [
      'with exchanged lines',
      ([a, b, c]) => [a!, c!, b!],
      ['Line 2 of the anchors does not follow', 'Line 3 of the anchors does not follow'],
    ],
  ])('%s is refused', async (_, alter, details) => {
    await writeFile(file, `${alter(lines).join('\n')}\n`);
    expect(await found()).toEqual(
      details.map((detail) => ({ kind: 'anchor', detail: expect.stringContaining(detail) })),
    );
  });

  it('that was signed with another key is refused, and not continued', async () => {
    const { privateKey: other, publicKey: its } = generateKeyPairSync('ed25519');
    const report = await given.verifier.verify({ anchors: file, publicKey: its });
    expect(report).toMatchObject({ findingCount: 3, anchors: 0, anchoredUpTo: 0 });
    await expect(given.verifier.anchor(file, { privateKey: other })).rejects.toMatchObject({
      code: 'ANCHOR_FILE',
      reason: 'ends in a line that was not signed with this key',
    });
    expect(await readFile(file, 'utf8')).toBe(`${lines.join('\n')}\n`);
  });

  it('that ends in half a line is valid up to there, and is continued', async () => {
    await appendFile(file, lines[2]!.slice(0, -1));
    const torn = await given.verifier.verify({ anchors: file, publicKey });
    expectClean(torn);
    expect(torn).toMatchObject({ anchors: 3, hasTornAnchor: true });
    await given.verifier.anchor(file, { privateKey });
    const whole = await given.verifier.verify({ anchors: file, publicKey });
    expectClean(whole);
    expect(whole).toMatchObject({ anchors: 4, hasTornAnchor: false, anchoredUpTo: whole.upTo });
  });

  it('that does not exist, or is passed without a valid key, is an error', async () => {
    await rm(file);
    await expect(found()).rejects.toMatchObject({ code: 'ANCHOR_FILE', file });
    await expect(given.verifier.verify({ anchors: file })).rejects.toThrow(TypeError);
    const { privateKey: rsa } = generateKeyPairSync('rsa', { modulusLength: 1024 });
    await expect(given.verifier.anchor(file, { privateKey: rsa })).rejects.toThrow(TypeError);
  });
});
