import { describe, expect, it } from '@jest/globals';
import { tally } from '../../support/tally.ts';
import { parcel, ParcelSent, schema, tables, useBoots } from './use-boots.ts';

const given = useBoots();
const { create, start, problemsOf } = given;

describe('a boot', () => {
  it.each(['LATIN1', 'SQL_ASCII'])(
    'refuses a database in %s, and creates nothing',
    async (name) => {
      const admin = await create({ clauses: `ENCODING ${name} LOCALE 'C' TEMPLATE template0` });
      expect(await problemsOf()).toEqual([
        expect.stringMatching(`encoding ${name}.*server_encoding`),
      ]);
      expect(await tables(admin)).toEqual([]);
      tally('F27');
    },
  );

  it('reports everything that it cannot work with in one error', async () => {
    await create({
      settings: { default_transaction_read_only: 'on', session_replication_role: 'replica' },
    });
    expect(await problemsOf()).toEqual([
      expect.stringMatching(/^default_transaction_read_only is on/),
      expect.stringMatching(/^session_replication_role is replica/),
    ]);
    tally('F27');
  });

  it('refuses a server whose advisory locks do nothing', async () => {
    const admin = await create();
    await admin.query(
      `CREATE OR REPLACE FUNCTION pg_catalog.pg_try_advisory_xact_lock_shared(integer, integer)
      RETURNS boolean LANGUAGE sql VOLATILE AS 'SELECT true'`,
    );
    expect(await problemsOf()).toEqual([
      expect.stringMatching(/does not work like PostgreSQL.*does not show in pg_locks/),
    ]);
    expect(await tables(admin)).toEqual([]);
  });

  it('refuses a server that hands out numbers in blocks', async () => {
    const admin = await create();
    await admin.query(
      `CREATE OR REPLACE FUNCTION pg_catalog.nextval(regclass) RETURNS bigint LANGUAGE sql VOLATILE AS
        $$ SELECT setval($1, coalesce(pg_sequence_last_value($1), 0) + 50) - 49 $$`,
    );
    expect(await problemsOf()).toEqual([
      expect.stringMatching(/does not work like PostgreSQL.*handed out in blocks/),
    ]);
  });
});

describe('appends', () => {
  it('wait for the disk even if synchronous_commit is off, except in your transaction', async () => {
    await create({ settings: { synchronous_commit: 'off', client_min_messages: 'error' } });
    const store = await start({ allowRemoval: true });
    const source = await given.database.dataSource();
    // Fires at the commit.
    await source.query(`
      CREATE TABLE public.commits (n serial, setting text, messages text);
      CREATE FUNCTION public.note_commit() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        INSERT INTO public.commits (setting, messages) VALUES (
          pg_catalog.current_setting('synchronous_commit'),
          pg_catalog.current_setting('client_min_messages')
        );
        RETURN NULL;
      END $$;
      CREATE CONSTRAINT TRIGGER note_commit AFTER INSERT OR DELETE ON ${schema}.domain_events
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.note_commit()`);
    await store.append(parcel('one'), [new ParcelSent('Bern')]);
    await store.append(parcel('two'), [new ParcelSent('Bern'), new ParcelSent('Thun')]);
    await store.appendAll([{ aggregate: parcel('all'), events: [new ParcelSent('Basel')] }]);
    await source.transaction(async (manager) => {
      await store.append(parcel('yours'), [new ParcelSent('Chur')], { manager });
    });
    await store.removeEvents(parcel('one'));
    const rows: { setting: string }[] = await source.query(
      'SELECT setting FROM public.commits ORDER BY n',
    );
    expect(rows.map(({ setting }) => setting)).toEqual(['on', 'on', 'on', 'on', 'off', 'on']);
    // What the session is set to has not changed.
    expect(await source.query('SHOW synchronous_commit')).toEqual([{ synchronous_commit: 'off' }]);
  });
});
