import { DataSource } from 'typeorm';
import { grantsSql, type GrantsSqlOptions } from 'nest-event-store';
import { Migrator } from '../../lib/postgres/schema/migrator.ts';
import { queryOnce } from '../../dev/postgres/query-once.ts';
import { createTestDatabase, type TestDatabase, type TestDatabaseOptions } from './database.ts';

const roles = ['owner', 'application', 'reader'] as const;
type Role = (typeof roles)[number];

/** A database in which the owner of a store, an application and a reader have roles of their own. */
export interface TestRoles {
  /** As the role that runs the tests, which may do anything. */
  readonly database: TestDatabase;
  readonly names: Readonly<Record<Role, string>>;
  /** Opens a data source as one of the roles; `drop` closes it. */
  dataSource(role: Role, extra?: { readonly max?: number }): Promise<DataSource>;
  /** Makes a store as its owner, and gives the others their rights on it. */
  install(schema: string, options?: Pick<GrantsSqlOptions, 'allowRemoval'>): Promise<void>;
  drop(): Promise<void>;
}

export async function createTestRoles(options?: TestDatabaseOptions): Promise<TestRoles> {
  const database = await createTestDatabase(options);
  const name = new URL(database.url).pathname.slice(1);
  const names = { owner: `${name}_o`, application: `${name}_a`, reader: `${name}_r` };
  for (const role of roles) {
    await queryOnce(database.url, `CREATE ROLE ${names[role]} LOGIN PASSWORD '${name}'`);
  }
  await queryOnce(database.url, `GRANT CREATE ON DATABASE ${name} TO ${names.owner}`);
  const opened: DataSource[] = [];

  async function dataSource(role: Role, extra = {}): Promise<DataSource> {
    const url = Object.assign(new URL(database.url), { username: names[role], password: name });
    const opening = new DataSource({
      type: 'postgres',
      url: url.href,
      installExtensions: false,
      extra,
    });
    opened.push(await opening.initialize());
    return opening;
  }
  const owner = await dataSource('owner', { max: 1 });

  return {
    database,
    names,
    dataSource,
    async install(schema, options) {
      await new Migrator(owner, schema).run();
      const { application, reader } = names;
      await owner.query(grantsSql({ schema, application, reader, ...options }));
    },
    async drop() {
      await Promise.all(opened.filter((each) => each.isInitialized).map((each) => each.destroy()));
      await database.drop();
      // Their rights have gone with the database.
      await queryOnce(process.env['DATABASE_URL']!, `DROP ROLE ${Object.values(names).join(', ')}`);
    },
  };
}
