import type { Database } from '../database.ts';
import { findSessions } from './sessions.ts';

/** The kind of pooler between a process and the server, by how it hands out sessions. */
export type PoolerMode = 'none' | 'transaction';

export interface SessionCheckOptions {
  readonly schema: string;
  readonly pooler: PoolerMode;
  readonly preparedStatements: boolean;
  readonly pollIntervalMs: number;
}

/** How a pooler, if there is one, affects a store. */
export interface SessionCheck {
  readonly areShared: boolean;
  /** What would fail at random under load, with the remedy. */
  readonly problem?: string;
  /** What works differently than without a pooler. */
  readonly notice?: string;
}

/** Returns whether the store works as configured with what is between it and the server. */
export async function checkSessions(
  database: Database,
  { schema, pooler, preparedStatements, pollIntervalMs }: SessionCheckOptions,
): Promise<SessionCheck> {
  const { areShared, mixStatements } = await findSessions(database);
  if (!areShared) return { areShared };
  const where =
    `The event store "${schema}" is reached through a pooler that shares its sessions, like ` +
    'PgBouncer in transaction mode';
  if (preparedStatements && mixStatements) {
    const remedy =
      pooler === 'none' ? "Set pooler: 'transaction'" : 'Leave preparedStatements: true out';
    const problem =
      `${where}, and that does not keep their prepared statements apart: statements would fail at ` +
      `random under load. ${remedy}, or let the pooler keep them (from PgBouncer 1.21 on, ` +
      'max_prepared_statements), or use its session mode.';
    return { areShared, problem };
  }
  const polling = `consumers find what other processes append by polling, every ${pollIntervalMs} ms`;
  if (pooler === 'transaction') return { areShared, notice: `${where}: ${polling}.` };
  const kept = preparedStatements ? ' and preparedStatements: true' : '';
  const notice =
    `${where}, so LISTEN does not work: ${polling}. Set pooler: 'transaction'${kept}, or use its ` +
    'session mode.';
  return { areShared, notice };
}
