import type { Database } from '../database.ts';
import { findSessions } from './sessions.ts';

export interface SessionCheckOptions {
  readonly schema: string;
  readonly preparedStatements: boolean;
  readonly listen: boolean;
  readonly pollIntervalMs: number;
}

/** How a store works through a pooler, if there is one. */
export interface SessionCheck {
  readonly areShared: boolean;
  /** What would fail at random under load, with the remedy. */
  readonly problem?: string;
  /** What works in another way than it does without a pooler. */
  readonly notice?: string;
}

/** Returns whether the store works as configured through what is between it and the server. */
export async function checkSessions(
  database: Database,
  { schema, preparedStatements, listen, pollIntervalMs }: SessionCheckOptions,
): Promise<SessionCheck> {
  const { areShared, mixStatements } = await findSessions(database);
  if (!areShared) return { areShared };
  const where =
    `The event store "${schema}" is reached through a pooler that shares its sessions, like ` +
    'PgBouncer in transaction mode';
  if (preparedStatements && mixStatements) {
    const problem =
      `${where}, and that does not keep their prepared statements apart: statements would fail at ` +
      'random under load. Set preparedStatements: false, or let the pooler keep them (from PgBouncer ' +
      '1.21 on, max_prepared_statements), or use its session mode.';
    return {
      areShared,
      problem: listen ? `${problem} LISTEN needs a session too: set listen: false.` : problem,
    };
  }
  const polling = `consumers find what other processes append by polling, every ${pollIntervalMs} ms`;
  const notice = listen
    ? `${where}, so LISTEN does not work: ${polling}. Set listen: false, or use its session mode.`
    : `${where}: ${polling}.`;
  return { areShared, notice };
}
