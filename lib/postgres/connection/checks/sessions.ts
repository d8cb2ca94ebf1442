import type { Client } from 'pg';
import type { Database } from '../database.ts';
import { Statement } from '../statement.ts';
import { readSession } from './read-session.sql.ts';
import { failureKindOf } from '../errors/failure-kind.ts';

/** How connections and the server's sessions belong together. */
export interface Sessions {
  /** A pooler may give a connection another session for each transaction; session state is then lost. */
  readonly areShared: boolean;
  /** The pooler mixes prepared statements: a statement may be missing in a session, or already exist. */
  readonly mixStatements: boolean;
}

interface SessionRow {
  readonly pid: number;
  readonly knows_name: boolean;
}

const statement = new Statement(readSession);

/**
 * Finds out whether each connection has a session of its own, as a direct connection to the server has.
 *
 * It never reports sessions as shared that are not. It misses shared sessions only if two connections
 * are given the same two sessions in every turn.
 */
export async function findSessions(database: Database): Promise<Sessions> {
  try {
    return (await isDirect(database)) ? own : await probe(database);
  } catch (error) {
    // A statement of this name exists already, or is missing.
    if (failureKindOf(error) === 'pooler') return { areShared: true, mixStatements: true };
    throw error;
  }
}

/** A server sends each client the number of its session at the start; a pooler makes up a number. */
async function isDirect(database: Database): Promise<boolean> {
  const queryRunner = database.dataSource.createQueryRunner();
  try {
    const { processID } = (await queryRunner.connect()) as Client & { processID?: number };
    const values = [statement.name];
    const [session] = await database.queryOn<SessionRow>(queryRunner, statement, values);
    return session!.pid === processID;
  } finally {
    await queryRunner.release();
  }
}

/**
 * Reads which sessions two connections have, in turns: a shared session shows up in both, or changes.
 *
 * The first connection is asked once, then the second one twice. Of its free sessions, a pooler hands
 * out either the one that came back last, which the second connection then shares with the first, or
 * the one that came back first, and then the session of the second connection changes.
 */
async function probe(database: Database): Promise<Sessions> {
  const clients = [0, 1].map(() => database.connections.newClient(timeouts).on('error', ignore));
  const seen = clients.map(() => new Set<number>());
  try {
    for (const client of clients) await client.connect();
    for (let turn = 0; turn < turns; turn++) {
      const which = turn % 3 === 0 ? 0 : 1;
      const values = [statement.name];
      const [session] = await database.sender.run<SessionRow>(clients[which]!, statement, values);
      const { pid, knows_name: mixStatements } = session!;
      seen[which]!.add(pid);
      // A pooler that keeps statements apart renames them.
      if (seen[which]!.size > 1 || seen[1 - which]!.has(pid))
        return { areShared: true, mixStatements };
    }
    return own;
  } finally {
    for (const client of clients) void client.end().catch(ignore);
  }
}

const own: Sessions = { areShared: false, mixStatements: false };
const turns = 15;
const timeouts = { connectionTimeoutMillis: 5_000, query_timeout: 5_000 };
const ignore = (): void => undefined;
