import type { EntityManager } from 'typeorm';
import type { SerializedEvent } from '../../../events/event-serializer.ts';
import type { AggregateRef } from '../../../store/aggregate-ref.ts';
import type { ExpectedVersion } from '../../../store/appending/expected-version.ts';
import type { AppendParts } from '../../../store/appending/append-parts.ts';
import type { Database } from '../../connection/database.ts';
import { Statement } from '../../connection/statement.ts';

/** The outcome of one append of a call. */
export interface AppendOutcome {
  readonly outcome:
    | 'ok'
    | 'duplicate'
    | 'wrong_version'
    | 'corrupt_duplicate'
    | 'busy'
    | 'withdrawn'
    // Replaces the first two: committed, but perhaps not on the required standby.
    | 'uncertain';
  /** The version after the append; for `wrong_version`, the actual version. */
  readonly version: number;
  readonly positions: readonly number[];
  /** Microseconds since the epoch, by the clock of the database. */
  readonly recorded_at: number;
}

export interface CallOptions {
  /** All appends are written, or none. */
  readonly allOrNothing: boolean;
  /**
   * Waits for aggregates that other transactions hold; otherwise their appends are returned as `busy`.
   */
  readonly wait: boolean;
  /** How long to wait for a lock; in a caller's transaction, the setting of that transaction counts. */
  readonly lockTimeoutMs?: number;
  readonly manager?: EntityManager | undefined;
  /** Whether the same appends were sent before, and may already be stored. */
  readonly resent?: boolean;
}

// Separates texts of JSON or of hex digits: both have no control characters except line breaks and
// tabs.
const separator = '\x1f';

/** Sends any number of appends in one call: one statement, one round trip. */
export class AppendCall {
  readonly #database: Database;
  readonly #many: Statement;
  readonly #one: Statement;

  constructor(database: Database, schema: string) {
    this.#database = database;
    this.#many = new Statement(
      `SELECT * FROM "${schema}".append_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`,
    );
    this.#one = new Statement(
      `SELECT "${schema}".append_event($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AS written`,
    );
  }

  /** Returns one outcome per append, in order. */
  async send(appends: readonly AppendParts[], options: CallOptions): Promise<AppendOutcome[]> {
    const [first] = appends;
    if (appends.length === 1 && isQuick(first!, options)) {
      const outcome = await this.#sendOne(first!, options);
      if (outcome) return [outcome];
    }
    return this.#sendMany(appends, options);
  }

  /** Returns nothing, with nothing written, in any unusual case. */
  async #sendOne(
    { aggregate, expectation, events }: AppendParts,
    { lockTimeoutMs, manager }: CallOptions,
  ): Promise<AppendOutcome | undefined> {
    const { id, type, revision, payload, binary, metadata } = events[0]!;
    const expected = encodeExpectation(expectation.expected);
    const values = [
      ...[aggregate.type, aggregate.id, expected],
      ...[id, type, revision, payload, binary, metadata, lockTimeoutMs],
    ];
    const { value: rows, isReplicated } = await this.#database.commit<{
      written: [number, number, number] | null;
    }>(this.#one, values, manager);
    const { written } = rows[0]!;
    if (!written) return undefined;
    const [version, position, recordedAt] = written;
    const outcome = isReplicated ? 'ok' : 'uncertain';
    return { outcome, version, positions: [position], recorded_at: recordedAt };
  }

  async #sendMany(appends: readonly AppendParts[], options: CallOptions): Promise<AppendOutcome[]> {
    const aggregateIndexes = new Map<string, number>();
    const aggregateTypes: string[] = [];
    const aggregateIds: string[] = [];
    const plannedVersions: number[] = [];
    const mayCreate: boolean[] = [];
    const expectedNew: boolean[] = [];
    const appendAggregates: number[] = [];
    const expectedVersions: number[] = [];
    const eventAppends: number[] = [];
    const events: SerializedEvent[] = [];

    for (const [index, { aggregate, expectation, events: own }] of appends.entries()) {
      const expected = encodeExpectation(expectation.expected);
      const key = aggregateKey(aggregate);
      let aggregateIndex = aggregateIndexes.get(key);
      if (aggregateIndex === undefined) {
        aggregateIndex = aggregateIds.push(aggregate.id) - 1;
        aggregateIndexes.set(key, aggregateIndex);
        aggregateTypes.push(aggregate.type);
        plannedVersions.push(0);
        mayCreate.push(false);
        expectedNew.push(expected === 0 && own.length > 0);
      }
      plannedVersions[aggregateIndex]! += own.length;
      mayCreate[aggregateIndex] ||= own.length > 0 && (expected === -1 || expected === 0);
      appendAggregates.push(aggregateIndex + 1);
      expectedVersions.push(expected);
      for (const event of own) {
        eventAppends.push(index + 1);
        events.push(event);
      }
    }

    const values = [
      aggregateTypes,
      aggregateIds,
      plannedVersions.map((version, index) => (mayCreate[index] ? version : 0)),
      expectedNew,
      appendAggregates,
      expectedVersions,
      eventAppends,
      events.map((event) => event.id),
      events.map((event) => event.type),
      events.map((event) => event.revision),
      events.map((event) => event.payload).join(separator),
      // A plain NULL, because array_nulls = off would store a NULL inside an array as text.
      events.every((event) => event.binary === null)
        ? null
        : events.map((event) => toHex(event.binary)).join(separator),
      events.map((event) => event.metadata).join(separator),
      options.resent === true || appends.some((append) => append.hasCallerIds),
      options.allOrNothing,
      options.wait,
      options.lockTimeoutMs,
    ];
    const { value: outcomes, isReplicated } = await this.#database.commit<AppendOutcome>(
      this.#many,
      values,
      options.manager,
    );
    if (isReplicated) return outcomes;
    return outcomes.map((each) =>
      each.outcome === 'ok' || each.outcome === 'duplicate'
        ? { ...each, outcome: 'uncertain' }
        : each,
    );
  }
}

/** Returns whether `append_event` can write it: one new event, without a wait for its aggregate. */
function isQuick(
  { events, hasCallerIds }: AppendParts,
  { resent, wait, lockTimeoutMs, manager }: CallOptions,
): boolean {
  if (events.length !== 1 || hasCallerIds || resent) return false;
  // Its lock timeout stays in effect for the rest of a transaction, so none is set in a caller's.
  return manager ? lockTimeoutMs === undefined : !wait;
}

/** Returns a key for each aggregate; types and ids contain no control characters. */
export function aggregateKey({ type, id }: AggregateRef): string {
  return `${type}\n${id}`;
}

function toHex(binary: Buffer | null): string {
  return binary === null ? '' : `\\x${binary.toString('hex')}`;
}

function encodeExpectation(expected: ExpectedVersion): number {
  if (expected === 'any') return -1;
  if (expected === 'exists') return -2;
  return expected === 'no_stream' ? 0 : expected;
}
