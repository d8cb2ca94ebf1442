import type { Pool, PoolClient } from 'pg';
import { keepQuiet } from './connection-state.ts';

/** How long an idle connection may take to answer; making a new one takes less. */
const answerTimeoutMs = 500;

// Holds nothing that the application does not hold already.
const probed = new WeakSet<Pool>();

/**
 * Checks which idle connections of a pool still lead to the server, after one was found to be dead.
 *
 * A dead connection is rarely the only one: a network failure usually affects several. Each would cost
 * a statement its whole `query_timeout`. All idle connections are therefore checked at once, in the
 * background, and those that do not answer are closed.
 */
export function probeIdle(pool: Pool | undefined): void {
  if (!pool || probed.has(pool) || pool.idleCount === 0) return;
  probed.add(pool);
  // All connections are taken before any is released; otherwise the pool would hand out the same one
  // again.
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
