import type { Client } from 'pg';
import type { Database } from '../database.ts';
import { Statement } from '../statement.ts';
import { readSession } from './read-session.sql.ts';
import { failureKindOf } from '../errors/failure-kind.ts';

/** What a connection has of the server's sessions. */
export interface Sessions {
  /** A pooler may give it another one for each transaction; what was set up in the last is not there. */
  readonly areShared: boolean;
  /** The pooler mixes what is prepared in them: a statement may be missing, or there already. */
  readonly mixStatements: boolean;
}

interface SessionRow {
  readonly pid: number;
  readonly knows_name: boolean;
}

const statement = new Statement(readSession);

/**
 * Finds out whether connections have sessions of their own, as those to the server itself do.
 *
 * Never takes sessions for shared that are not. Two connections that are given the same two sessions
 * in every turn, though they are shared, would be missed.
 */
export async function findSessions(database: Database): Promise<Sessions> {
  try {
    return (await isDirect(database)) ? own : await probe(database);
  } catch (error) {
    // A statement of this name is left over, or gone.
    if (failureKindOf(error) === 'pooler') return { areShared: true, mixStatements: true };
    throw error;
  }
}

/** A server sends its clients the numbers of their sessions at the start; a pooler makes some up. */
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
 * Looks which sessions two connections have, in turns: shared ones show in both, or change.
 *
 * One after the other and then the same once more: of free sessions, a pooler hands out the one that
 * came back last, which is then the other's, or the one that came back first, which then changes.
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
      // A pooler that keeps statements apart gives them names of its own.
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
