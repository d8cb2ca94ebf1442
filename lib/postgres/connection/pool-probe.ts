import type { Pool, PoolClient } from 'pg';
import { keepQuiet } from './connection-state.ts';

/** How long an idle connection may take to answer; a new one is made in less. */
const answerTimeoutMs = 500;

// Holds nothing that the application does not hold already.
const probed = new WeakSet<Pool>();

/**
 * Finds out which idle connections of a pool still lead to the server, once one has turned out not to.
 *
 * A connection that no longer answers is rarely alone: a network that has swallowed one has swallowed
 * others. Each would cost a statement its whole `query_timeout`, so all that are idle are asked at once,
 * in the background, and those that do not answer are closed.
 */
export function probeIdle(pool: Pool | undefined): void {
  if (!pool || probed.has(pool) || pool.idleCount === 0) return;
  probed.add(pool);
  // All are taken before one is given back, or the pool would hand out the same one again.
  const asked = Array.from({ length: pool.idleCount }, () => pool.connect().then(ask));
  void Promise.allSettled(asked).finally(() => probed.delete(pool));
}

async function ask(client: PoolClient): Promise<void> {
  keepQuiet(client);
  const question = { text: 'SELECT', query_timeout: answerTimeoutMs };
  try {
    await client.query(question);
    client.release();
  } catch {
    client.release(true);
  }
}
