import type { INestApplicationContext } from '@nestjs/common';
import { Consumers, EventStore } from 'nest-event-store';

/**
 * Resolves once all projections and durable handlers have handled everything that is recorded by now,
 * with the number of seconds that it took.
 */
export async function untilCaughtUp(app: INestApplicationContext): Promise<number> {
  const startedAt = performance.now();
  const consumers = app.get(Consumers);
  const position = await app.get(EventStore).currentPosition();
  const { consumers: all } = await consumers.list();
  await Promise.all(
    all.map(({ name }) => consumers.waitFor(name, position, { timeoutMs: 600_000 })),
  );
  return (performance.now() - startedAt) / 1000;
}
