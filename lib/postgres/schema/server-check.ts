import type { Database } from '../connection/database.ts';
import { Statement } from '../connection/statement.ts';
import { drawTwice, mayDraw, readServer } from './read-server.sql.ts';
import { pinTransaction } from './search-path.sql.ts';
import { factsOf, failureKindOf } from '../connection/errors/failure-kind.ts';

/** The result of checking a server before anything is written to it. */
export interface ServerCheck {
  /** What keeps the store from working, each with its remedy. */
  readonly problems: readonly string[];
  /** What works, but guarantees less than elsewhere. */
  readonly notice?: string;
}

interface ServerRow {
  version: string;
  server_encoding: string | null;
  client_encoding: string | null;
  replication_role: string | null;
  synchronous_commit: string | null;
  read_only: boolean | null;
  may_append: boolean;
  sees_locks: boolean;
}

/** Returns whether the store can keep its promises on this server, with the settings of this session. */
export async function checkServer(database: Database, schema: string): Promise<ServerCheck> {
  let server: ServerRow;
  try {
    server = await ask<ServerRow>(database, readServer(schema), schema);
  } catch (error) {
    // One of PostgreSQL's own functions or views is missing.
    if (failureKindOf(error) === 'schema')
      return { problems: [`${notPostgres(schema)} It says: ${factsOf(error).message}`] };
    throw error;
  }
  const { synchronous_commit: commit } = server;
  return {
    problems: serverProblems(schema, server),
    ...(commit === 'off' && {
      notice:
        'synchronous_commit is off for the sessions of the application. The store sets it for its own ' +
        'appends; a transaction of your own that appends is acknowledged before it is on the disk, ' +
        'unless you set it there.',
    }),
  };
}

function serverProblems(schema: string, server: ServerRow): string[] {
  const problems: string[] = [];
  const { server_encoding, client_encoding, replication_role } = server;
  if (!server.sees_locks) {
    problems.push(
      `${notPostgres(schema)} An advisory lock that was taken does not show in pg_locks, so readers ` +
        `would skip events. It says it is: ${server.version}.`,
    );
  }
  if (server_encoding !== 'UTF8') {
    problems.push(
      `The database has the encoding ${server_encoding}, in which not every event can be stored ` +
        '(server_encoding). Create one with ENCODING UTF8, and move what you have there.',
    );
  }
  if (client_encoding !== 'UTF8') {
    problems.push(
      `The sessions have the encoding ${client_encoding} (client_encoding), and the driver sends and ` +
        "reads UTF8. Remove the setting from the data source's options, the role and the database.",
    );
  }
  if (server.may_append && server.read_only) {
    problems.push(
      'default_transaction_read_only is on, so nothing can be appended. Switch it off for the role and ' +
        'the database, or connect to the primary.',
    );
  }
  if (server.may_append && replication_role === 'replica') {
    problems.push(
      'session_replication_role is replica: the triggers that protect and hash events would not run. ' +
        'Reset it for the role and the database.',
    );
  }
  return problems;
}

interface DrawnRow {
  first: number;
  second: number;
  last: number;
}

/**
 * Returns why the server's sequences cannot order a log; nothing if they can, or the role may not
 * check.
 */
export async function checkSequences(
  database: Database,
  schema: string,
): Promise<readonly string[]> {
  if (!(await ask<{ may_draw: boolean }>(database, mayDraw(schema))).may_draw) return [];
  let drawn: DrawnRow | undefined;
  // Other processes may draw between the two draws and the read: rarely, and not in every attempt.
  for (let attempt = 0; attempt < 20; attempt++) {
    drawn = await ask<DrawnRow | undefined>(database, drawTwice(schema));
    if (!drawn || (drawn.second > drawn.first && drawn.last === drawn.second)) return [];
  }
  const { first, second, last } = drawn!;
  return [
    `${notPostgres(schema)} After ${first} and ${second} were drawn, a sequence says that ${last} was ` +
      'the last: numbers are handed out in blocks, so readers would skip events.',
  ];
}

/** Returns the only row of a statement, with names looked up only in PostgreSQL's own schema. */
function ask<Row extends object | undefined>(
  database: Database,
  sql: string,
  ...values: readonly string[]
): Promise<Row> {
  return database.transaction(async (manager) => {
    await database.query(new Statement(pinTransaction, { prepared: false }), [], manager);
    const rows = await database.query(new Statement(sql, { prepared: false }), values, manager);
    return rows[0] as Row;
  });
}

const notPostgres = (schema: string): string =>
  `The server of the event store "${schema}" does not work like PostgreSQL. Use a PostgreSQL server.`;
