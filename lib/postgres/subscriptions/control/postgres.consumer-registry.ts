import type { AggregateRef } from '../../../store/aggregate-ref.ts';
import { isStorableText } from '../../../input/storable-text.ts';
import type { Consumer } from '../../../subscriptions/consumer.ts';
import {
  ConsumerRegistry,
  type ProcessLease,
  type Reached,
  type RebuildOptions,
} from '../../../subscriptions/consumer-registry.ts';
import type {
  ConsumerState,
  ParkedAggregate,
  SkippedEvent,
} from '../../../subscriptions/consumer-state.ts';
import { worstStatus } from '../../../subscriptions/consumer-status.ts';
import type { SkipOptions } from '../../../subscriptions/skip-options.ts';
import {
  ConsumerStateError,
  UnknownConsumerError,
} from '../../../subscriptions/subscriptions.errors.ts';
import { type CheckpointRow, toStates } from './consumer-states.ts';
import type { Database } from '../../connection/database.ts';
import { Statement } from '../../connection/statement.ts';
import { OperatorRequests } from './operator-requests.ts';
import { ParkedRequests } from './parked-requests.ts';
import { translated, translateReadError } from '../../connection/errors/translate-error.ts';
import { pauseConsumer, resumeConsumer } from '../generations.sql.ts';
import { readConsumers, readReached } from './read-consumers.sql.ts';
import { registerConsumers } from '../../schema/functions/register-consumer.sql.ts';
import { SkippedEvents } from '../skipped-events.ts';

/** The consumers of a store, as they are registered in its schema. */
export class PostgresConsumerRegistry extends ConsumerRegistry {
  readonly #database: Database;
  readonly #requests: OperatorRequests;
  readonly #parked: ParkedRequests;
  readonly #skipped: SkippedEvents;
  readonly #statements;

  constructor(database: Database, schema: string) {
    super();
    this.#database = database;
    this.#requests = new OperatorRequests(database, schema);
    this.#parked = new ParkedRequests(database, schema);
    this.#skipped = new SkippedEvents(database, schema);
    this.#statements = {
      register: new Statement(registerConsumers(schema)),
      states: new Statement(readConsumers(schema)),
      reached: new Statement(readReached(schema)),
      pause: new Statement(pauseConsumer(schema)),
      resume: new Statement(resumeConsumer(schema)),
      forget: new Statement(`SELECT "${schema}".forget_consumer($1, $2, $3) AS processes`),
    };
  }

  async register(
    consumers: readonly Consumer[],
    process?: ProcessLease,
    latestStart?: number,
  ): Promise<void> {
    if (consumers.length === 0) return;
    const values = [
      consumers.map(({ name }) => name),
      consumers.map(({ kind }) => kind),
      consumers.map(({ settings }) => settings.partitions),
      consumers.map(({ settings }) => settings.from === 'now'),
      consumers.map(({ hooks }) => Object.keys(hooks).length > 0),
      process?.owner,
      process?.leaseMs,
      latestStart,
    ];
    const rows = await translated(
      this.#database.query<{ name: string; kind: string }>(this.#statements.register, values),
    );
    const known = new Map(rows.map((row) => [row.name, row.kind]));
    for (const { name, kind } of consumers) {
      if (known.get(name) === kind) continue;
      throw new ConsumerStateError(
        name,
        `is known to this store as '${known.get(name)}', and now it is '${kind}'. What it has built ` +
          'would not fit: give it another name.',
      );
    }
  }

  async states(): Promise<readonly ConsumerState[]> {
    return toStates(await this.#read<CheckpointRow>(this.#statements.states, []));
  }

  async reached(consumers: readonly string[]): Promise<ReadonlyMap<string, Reached>> {
    // No consumer has any other name, and the database would refuse the whole query because of it.
    const names = consumers.filter(isStorableText);
    const rows = await this.#read<Reached & { name: string }>(this.#statements.reached, [names]);
    const reached = new Map<string, Reached>();
    for (const { name, position, status, error } of rows) {
      const other = reached.get(name);
      reached.set(name, {
        position: Math.min(position, other?.position ?? position),
        status: other ? worstStatus([status, other.status]) : status,
        error: other?.error ?? error,
      });
    }
    return reached;
  }

  async pause(consumer: string): Promise<void> {
    const paused = await this.#change(this.#statements.pause, consumer);
    if (paused.length > 0) return;
    await this.#mustBeKnown(consumer);
    throw new ConsumerStateError(
      consumer,
      'is being built for the first time, and applications that have it wait for it to start. Stop ' +
        'those instead; it continues from there when one starts again.',
    );
  }

  async resume(consumer: string): Promise<void> {
    const resumed = await this.#change(this.#statements.resume, consumer);
    if (resumed.length === 0) await this.#mustBeKnown(consumer);
  }

  reset(consumer: string, position: number): Promise<void> {
    return translated(this.#requests.reset(consumer, position));
  }

  rebuild(consumer: Consumer, options: RebuildOptions): Promise<number> {
    return translated(this.#requests.rebuild(consumer, options));
  }

  cancelRebuild(consumer: Consumer): Promise<void> {
    return this.#requests.cancelRebuild(consumer);
  }

  async parked(consumer: string): Promise<readonly ParkedAggregate[]> {
    await this.#mustBeKnown(consumer);
    return translated(this.#parked.of(consumer), translateReadError);
  }

  async retryParked(consumer: string, aggregate?: AggregateRef): Promise<number> {
    await this.#mustBeKnown(consumer);
    return translated(this.#parked.retry(consumer, aggregate));
  }

  async discardParked(consumer: string, position: number, options: SkipOptions): Promise<void> {
    await this.#mustBeKnown(consumer);
    if (await translated(this.#parked.discard(consumer, position, options))) return;
    throw new ConsumerStateError(
      consumer,
      `has no event parked at position ${position}; see parked('${consumer}').`,
    );
  }

  async skip(consumer: string, position: number, options: SkipOptions): Promise<void> {
    await this.#mustBeKnown(consumer);
    await translated(this.#skipped.skip(consumer, position, options));
  }

  async skipped(consumer: string, limit: number): Promise<readonly SkippedEvent[]> {
    const skipped = isStorableText(consumer)
      ? await translated(this.#skipped.of(consumer, limit), translateReadError)
      : [];
    if (skipped.length === 0) await this.#mustBeKnown(consumer);
    return skipped;
  }

  async forget(consumer: string, { reason, by }: SkipOptions): Promise<void> {
    await this.#mustBeKnown(consumer);
    const values = [consumer, reason, by];
    const [row] = await translated(
      this.#database.query<{ processes: string | null }>(this.#statements.forget, values),
    );
    if (row!.processes === null) return this.#mustBeKnown(consumer);
    if (row!.processes === '') return;
    throw new ConsumerStateError(
      consumer,
      `is run by ${row!.processes}. Stop those processes, or deploy them without it, and ` +
        `call forget('${consumer}') again.`,
    );
  }

  #read<Row extends object>(statement: Statement, values: readonly unknown[]): Promise<Row[]> {
    return translated(this.#database.read<Row>(statement, values), translateReadError);
  }

  /** Returns a row if the consumer is known and can be changed in this way. */
  async #change(statement: Statement, name: string): Promise<object[]> {
    if (!isStorableText(name)) return [];
    return translated(this.#database.query(statement, [name]));
  }

  async #mustBeKnown(consumer: string): Promise<void> {
    if ((await this.reached([consumer])).has(consumer)) return;
    const names = (await this.states()).map((state) => state.name);
    throw new UnknownConsumerError(consumer, names);
  }
}
