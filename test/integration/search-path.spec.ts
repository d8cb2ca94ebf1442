import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { EventLogVerifier, grantsSql, hashChainSql, eventStoreMigrations } from 'nest-event-store';
import { Migrator } from '../../lib/postgres/schema/migrator.ts';
import { PostgresChainedLog } from '../../lib/postgres/evidence/postgres.chained-log.ts';
import { consumer, startConsumers } from '../support/consumers.ts';
import { createTestRoles, type TestRoles } from '../support/roles.ts';
import { Counted, openStore } from '../support/store.ts';

let roles: TestRoles;
let directory: string;
let planted: number;

/**
 * Plants, in the schema `planted`, a copy of every function and operator of PostgreSQL that a user can
 * copy, and functions that fit a call better than PostgreSQL's own. Each fails when it is called.
 */
const plant = `
CREATE SCHEMA planted;
GRANT USAGE ON SCHEMA planted TO PUBLIC;
CREATE TYPE planted.name AS ENUM ('planted');
CREATE TYPE planted.regclass AS ENUM ('planted');
DO $do$
DECLARE
  v_each record;
  v_fail text := $$ BEGIN RAISE EXCEPTION 'planted code runs' USING ERRCODE = 'XX999'; END $$;
BEGIN
  FOR v_each IN
    SELECT DISTINCT p.proname, pg_get_function_identity_arguments(p.oid) AS args, pg_get_function_result(p.oid) AS result
    FROM pg_proc AS p
    WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND p.provariadic = 0
      AND p.proargmodes IS NULL
      AND NOT EXISTS (
        SELECT FROM unnest(p.proargtypes::oid[] || p.prorettype) AS t (oid)
        JOIN pg_type AS y ON y.oid = t.oid WHERE y.typtype = 'p' AND y.typname NOT LIKE 'any%array' AND y.typname <> 'void'
      )
  LOOP
    BEGIN
      EXECUTE format(
        'CREATE FUNCTION planted.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L',
        v_each.proname, v_each.args, v_each.result, v_fail
      );
    EXCEPTION WHEN OTHERS THEN
      NULL;
    END;
  END LOOP;
  FOR v_each IN
    SELECT o.oprname, o.oprleft::regtype AS l, o.oprright::regtype AS r, o.oprresult::regtype AS result, o.oid
    FROM pg_operator AS o
    WHERE o.oprnamespace = 'pg_catalog'::regnamespace AND o.oprkind = 'b'
      AND NOT EXISTS (
        SELECT FROM pg_type AS y WHERE y.oid IN (o.oprleft, o.oprright, o.oprresult) AND y.typtype = 'p'
      )
  LOOP
    EXECUTE format(
      'CREATE FUNCTION planted.%I(%s, %s) RETURNS %s LANGUAGE plpgsql AS %L',
      'operator_' || v_each.oid, v_each.l, v_each.r, v_each.result, v_fail
    );
    EXECUTE format(
      'CREATE OPERATOR planted.%s (FUNCTION = planted.%I, LEFTARG = %s, RIGHTARG = %s)',
      v_each.oprname, 'operator_' || v_each.oid, v_each.l, v_each.r
    );
  END LOOP;
END
$do$;`;

// Functions that fit a call better than PostgreSQL's own, even from a schema after pg_catalog.
const fitting = [
  'pg_has_role(text, oid, text)',
  'convert_to(text, text)',
  'hashtextextended(text, integer)',
  'pg_advisory_xact_lock(text)',
  'nextval(text)',
  'setval(text, bigint, boolean)',
  'array_to_string(text[], text)',
  'unnest(text[])',
  'unnest(integer[])',
  'to_jsonb(bigint[])',
  'cardinality(bigint[])',
  'cardinality(integer[])',
  'cardinality(text[])',
  'format(text, bigint)',
  'jsonb_build_object(text, jsonb)',
];
const plantIn = (schema: string): string =>
  fitting
    .map(
      (signature) =>
        `CREATE FUNCTION "${schema}".${signature} RETURNS integer LANGUAGE plpgsql AS
          $$ BEGIN RAISE EXCEPTION 'planted code runs' USING ERRCODE = 'XX999'; END $$;`,
    )
    .join('\n');

/** A data source of a role with one session, which has this search_path. TypeORM connects without it. */
async function searching(role: 'owner' | 'reader', path: string): Promise<DataSource> {
  const source = await roles.dataSource(role, { max: 1 });
  await source.query(`SET search_path = ${path}`);
  return source;
}

beforeAll(async () => {
  roles = await createTestRoles();
  directory = await mkdtemp(join(tmpdir(), 'anchors-'));
  const superuser = await roles.database.dataSource();
  await superuser.query(plant);
  await superuser.query(plantIn('public'));
  await superuser.query(
    `CREATE SCHEMA ${roles.names.owner}; GRANT USAGE ON SCHEMA ${roles.names.owner} TO PUBLIC`,
  );
  await superuser.query(plantIn(roles.names.owner));
  [{ planted }] = await superuser.query(
    `SELECT count(*)::integer AS planted FROM pg_proc WHERE pronamespace = 'planted'::regnamespace`,
  );
});
afterAll(async () => {
  await roles.drop();
  await rm(directory, { recursive: true });
});

describe('planted functions', () => {
  it.each(['"$user", public', 'planted, pg_catalog'])(
    'are not called by migrations, grants, the hash chain, verify and anchor with search_path = %s',
    async (path) => {
      expect(planted).toBeGreaterThan(1_000);
      const schema = path.startsWith('planted') ? 'event_store' : 'other_store';
      const owner = await searching('owner', path);
      if (path.startsWith('planted')) {
        await expect(owner.query(`SELECT octet_length('a'::text)`)).rejects.toMatchObject({
          code: 'XX999',
        });
      }
      await new Migrator(owner, schema).run();
      expect(await new Migrator(owner, schema).check()).toBeUndefined();
      const { application, reader } = roles.names;
      await owner.query(grantsSql({ schema, application, reader, allowRemoval: true }));
      await owner.query(hashChainSql(schema));
      await new Migrator(owner, schema, { hashChain: true }).run();
      // Puts the sequence behind the keys in use, so that it is repaired.
      await owner.query(
        `INSERT INTO ${schema}.aggregates (key, type, id, version) VALUES (9, 'a', 'a', 0)`,
      );
      expect(await new Migrator(owner, schema).run()).toHaveLength(1);
      await owner.query(`DELETE FROM ${schema}.aggregates`);

      const plain = await roles.dataSource('application');
      const store = await openStore(plain, { schema, allowRemoval: true });
      const counter = { type: 'counter', id: 'c-1' };
      await store.append(counter, [new Counted(1), new Counted(2)]);
      await store.snapshot(counter, { total: 3 }, 2);

      const verifier = new EventLogVerifier(
        new PostgresChainedLog(await searching('reader', path), schema),
      );
      const { privateKey, publicKey } = generateKeyPairSync('ed25519');
      const anchors = join(directory, `${schema}.jsonl`);
      await verifier.anchor(anchors, { privateKey });
      expect(await verifier.verify({ anchors, publicKey })).toMatchObject({
        ...{ events: 2, snapshots: 1, anchors: 1, findings: [] },
      });
    },
  );

  it('are not called by migrations with and without a transaction, which leave the search_path as it was', async () => {
    const owner = await searching('owner', 'planted, pg_catalog');
    const runner = owner.createQueryRunner();
    for (const [index, begin] of ['BEGIN', ''].entries()) {
      if (begin) await runner.query(begin);
      for (const Migration of eventStoreMigrations(`by_hand_${index}`))
        await new Migration().up(runner);
      expect(await runner.query('SHOW search_path')).toEqual([
        { search_path: 'planted, pg_catalog' },
      ]);
      if (begin) await runner.query('COMMIT');
      // Checks and defaults are looked up when they are made.
      const store = await openStore(await roles.dataSource('owner'), {
        schema: `by_hand_${index}`,
      });
      expect(await store.append({ type: 'counter', id: 'c-1' }, [new Counted(1)])).toBeDefined();
    }
    await runner.release();
  });

  it('in public are not called by a store and its consumers', async () => {
    const application = await roles.dataSource('application');
    const store = await openStore(application, { schema: 'other_store', allowRemoval: true });
    const counter = { type: 'counter', id: 'c-2' };
    await store.appendAll([
      { aggregate: counter, events: [new Counted(1)] },
      { aggregate: { type: 'counter', id: 'c-3' }, events: [new Counted(1)] },
    ]);
    const process = await startConsumers(
      application,
      store,
      [consumer('all', async () => {}, { partitions: 2 })],
      {},
    );
    await process.control.waitFor('all', (await store.fetch()).position);
    await process.control.reset('all', 0);
    await process.control.waitFor('all', (await store.fetch()).position);
    await process.stop();
    expect(await store.removeEvents(counter)).toBe(1);
  });
});

it('every function of the store has a search_path of its own', async () => {
  const owner = await roles.dataSource('owner');
  const without = await owner.query(
    `SELECT p.proname FROM pg_proc AS p
    WHERE p.pronamespace = 'event_store'::regnamespace
      AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false)`,
  );
  expect(without).toEqual([]);
});
