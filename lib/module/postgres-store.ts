import { getDataSourceToken } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import type { BootedStore } from './application-consumers.ts';
import { logger, warn } from './log.ts';
import { type ResolvedOptions, storeOptionsOf } from './options.ts';
import type { StoreFactory } from './providers.ts';
import { errorOf } from '../input/thrown-error.ts';
import { EventStore } from '../store/event-store.ts';
import { Database } from '../postgres/connection/database.ts';
import { restoreNames } from '../postgres/schema/entities/restore-names.ts';
import { Migrator } from '../postgres/schema/migrator.ts';
import { poolProblems } from '../postgres/connection/checks/pool.problems.ts';
import { PostgresChainedLog } from '../postgres/evidence/postgres.chained-log.ts';
import { postgresConsumers } from '../postgres/subscriptions/postgres.consumers.ts';
import { PostgresEventStorage } from '../postgres/store/postgres.event-storage.ts';
import { checkSequences, checkServer, type ServerCheck } from '../postgres/schema/server-check.ts';
import { checkSessions, type SessionCheck } from '../postgres/connection/checks/session-check.ts';
import { failureKindOf } from '../postgres/connection/errors/failure-kind.ts';

/** Makes a store in PostgreSQL, on the application's data source of this name. */
export const postgresStore = (dataSource?: string): StoreFactory => ({
  inject: [getDataSourceToken(dataSource)],
  async boot(options, registry, source: DataSource): Promise<BootedStore> {
    const storage = new PostgresEventStorage(source, { ...options, onWarning: warn });
    const { schema, transactionManager } = options;
    const store = new EventStore(
      storage,
      { ...storeOptionsOf(options), onWarning: warn },
      { registry, schema, transactionManager },
    );
    const { problems, areSessionsShared = false } = await checkDatabase(options, source);
    return {
      store,
      consumers: {
        ...postgresConsumers(source, {
          ...options,
          listen: options.pooler === 'none' && !areSessionsShared,
        }),
        applyInline: (projections) => storage.applyInline(projections),
      },
      chainedLog: new PostgresChainedLog(source, options.schema),
      problems,
      drain: () => storage.drain(),
      close: () => storage.close(),
    };
  },
});

interface DatabaseCheck {
  readonly problems: readonly string[];
  readonly areSessionsShared?: boolean;
}

/** Brings the schema up to date before the store is injected, or reports problems. */
async function checkDatabase(options: ResolvedOptions, source: DataSource): Promise<DatabaseCheck> {
  const { type } = source.options;
  if (type !== 'postgres') {
    const problem = `The data source is of type '${type}'. The event store needs one of type 'postgres'.`;
    return { problems: [problem] };
  }
  restoreNames(source);
  const database = new Database(source, options);
  const server = await serverOf(options, database);
  const sessions = await sessionsOf(options, database);
  const problems = [
    ...poolProblems(database, options.lockTimeoutMs),
    ...(server?.problems ?? []),
    ...(sessions?.problem ? [sessions.problem] : []),
  ];
  // A store that cannot start must not migrate a schema that others use.
  if (problems.length > 0) return { problems };
  const migrator = new Migrator(source, options.schema, options);
  return {
    problems: await schemaProblems(options, migrator, database),
    areSessionsShared: !!sessions?.areShared,
  };
}

/** Migrates if the options say so; the returned problems keep the store from starting. */
async function schemaProblems(
  { migrations, schema }: ResolvedOptions,
  migrator: Migrator,
  database: Database,
): Promise<readonly string[]> {
  try {
    return await migratedProblems(migrations, schema, migrator, database);
  } catch (error) {
    if (failureKindOf(error) !== 'denied') throw error;
    return [(migrations === 'run' ? deniedMigration : deniedLook)(schema, error)];
  }
}

async function migratedProblems(
  migrations: ResolvedOptions['migrations'],
  schema: string,
  migrator: Migrator,
  database: Database,
): Promise<readonly string[]> {
  if (migrations === 'run') for (const repaired of await migrator.run()) warn(repaired);
  const problem = migrations === 'off' ? undefined : await migrator.check();
  if (problem !== undefined) return [problem];
  const sequences = await migrator.checkSequences();
  if (sequences.length > 0 || migrations === 'off') return sequences;
  return checkSequences(database, schema);
}

const deniedMigration = (schema: string, error: unknown): string =>
  `The schema "${schema}" cannot be migrated by this role: ${errorOf(error).message}. Start once as a ` +
  "role that may CREATE in the database and owns what is there, or set migrations: 'check' and let " +
  'such a role run eventStoreMigrations().';

const deniedLook = (schema: string, error: unknown): string =>
  `This role may not read the schema "${schema}": ${errorOf(error).message}. Run the SQL of ` +
  'grantsSql() for it, as the owner of the tables.';

/** Warns of server settings that matter. If the server cannot be asked now, the store starts anyway. */
async function serverOf(
  { schema }: ResolvedOptions,
  database: Database,
): Promise<ServerCheck | undefined> {
  try {
    const server = await checkServer(database, schema);
    if (server.notice) logger.warn(server.notice);
    return server;
  } catch (error) {
    warn('The settings of the database could not be read.', error);
    return undefined;
  }
}

/** Warns of what a pooler changes. If that cannot be found out now, the store starts anyway. */
async function sessionsOf(
  options: ResolvedOptions,
  database: Database,
): Promise<SessionCheck | undefined> {
  try {
    const sessions = await checkSessions(database, options);
    if (sessions.notice) logger[options.pooler === 'none' ? 'warn' : 'log'](sessions.notice);
    return sessions;
  } catch (error) {
    warn('Whether a pooler shares sessions could not be found out.', error);
    return undefined;
  }
}
