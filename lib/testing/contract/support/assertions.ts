import assert from 'node:assert/strict';
import type { EventRecord } from '../../../events/event-record.ts';
import type { EventStore } from '../../../store/event-store.ts';

/** Waits for the rejection and returns its error, which must be an instance of `errorClass`. */
export async function rejection<E extends Error>(
  promise: Promise<unknown>,
  errorClass: new (...args: never[]) => E,
): Promise<E> {
  const outcome: unknown = await promise.then(
    () => 'nothing',
    (error: unknown) => error,
  );
  if (outcome instanceof errorClass) return outcome;
  throw new assert.AssertionError({
    message: `Expected ${errorClass.name}, got ${String(outcome)}`,
    actual: outcome,
    expected: errorClass.name,
  });
}

/** Runs `work` and asserts that the log is the same as before. */
export async function assertNothingWritten(
  store: EventStore,
  work: () => Promise<unknown>,
): Promise<void> {
  const before = await idsOf(store);
  await work();
  assert.deepEqual(await idsOf(store), before);
}

/** What each record holds. */
export const eventsOf = (records: readonly EventRecord[]): object[] =>
  records.map((record) => record.event);

export const versionsOf = (records: readonly EventRecord[]): number[] =>
  records.map((record) => record.version);

export const positionsOf = (records: readonly EventRecord[]): number[] =>
  records.map((record) => record.position);

/** Reads a stream to its end. */
export async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

async function idsOf(store: EventStore): Promise<string[]> {
  return (await collect(store.stream())).map((record) => record.id);
}
