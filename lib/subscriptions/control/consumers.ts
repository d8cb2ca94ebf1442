import { checkWholeNumber } from '../../input/whole-number.ts';
import { KnownOptions } from '../../input/known-options.ts';
import type { AggregateRef } from '../../store/aggregate-ref.ts';
import { checkAggregateRef } from '../../store/check-aggregate-ref.ts';
import type { EventStore } from '../../store/event-store.ts';
import { checkLimit } from '../../store/reading/read-options.ts';
import type { Consumer } from '../consumer.ts';
import type { ConsumerRegistry, Reached, RebuildOptions } from '../consumer-registry.ts';
import type { ConsumersState, ParkedAggregate, SkippedEvent } from '../consumer-state.ts';
import { ReachedPoll } from './reached-poll.ts';
import { checkSkipOptions, type SkipOptions } from '../skip-options.ts';
import { ConsumerStateError, UnknownConsumerError } from '../subscriptions.errors.ts';
import { waitForPosition } from './wait-for-position.ts';

export interface WaitOptions {
  /**
   * The longest time to wait, in milliseconds. The database has at least a tenth of a second to report
   * the position, so 0 checks once. @default 5000
   */
  readonly timeoutMs?: number;
}

export interface SkippedOptions {
  /** The most events to return, 1 to 10,000. @default 1000 */
  readonly limit?: number;
}

const waitOptions = new KnownOptions<WaitOptions>('waitFor', { timeoutMs: true });
const rebuildOptions = new KnownOptions<RebuildOptions>('rebuild', {
  from: true,
  eventsPerSecond: true,
});
const skippedOptions = new KnownOptions<SkippedOptions>('skipped', { limit: true });

/** What the control of consumers needs from the process in which it runs. */
export interface ConsumersHere {
  /** The consumers of this application, by name. */
  readonly consumers: ReadonlyMap<string, Consumer>;
  /** Makes all processes check at once which consumers they hold. */
  announce(): Promise<void>;
}

/**
 * The injectable control of a store's projections and durable handlers, wherever they run.
 *
 * Requests are stored in the database and apply to all processes, including those that start later.
 * Every method that names a consumer throws `UnknownConsumerError` if that consumer was never started
 * on this store.
 */
export class Consumers {
  readonly #store: EventStore;
  readonly #registry: ConsumerRegistry;
  readonly #poll: ReachedPoll;
  readonly #here: ConsumersHere;

  constructor(store: EventStore, registry: ConsumerRegistry, here: ConsumersHere) {
    this.#store = store;
    this.#registry = registry;
    this.#poll = new ReachedPoll(registry);
    this.#here = here;
  }

  /** Returns the state of all consumers, the end of the log, and what holds readers back from it. */
  async list(): Promise<ConsumersState> {
    const horizon = await this.#store.horizon();
    return { consumers: await this.#registry.states(), horizon };
  }

  /**
   * Lets a consumer finish its current work and pause until `resume`. For an inline projection, only a
   * rebuild pauses: appends that concern the projection continue, and apply it.
   *
   * @throws ConsumerStateError for an inline projection that is built for the first time: applications
   * that have it could not start.
   */
  async pause(name: string): Promise<void> {
    await this.#registry.pause(name);
    await this.#here.announce();
  }

  /**
   * Lets a paused or stopped consumer continue.
   *
   * A paused consumer continues after the last event that it has finished. A stopped consumer tries
   * again the event at which it stopped: fix the cause first, or skip that event with `skip`. A running
   * consumer is not changed.
   */
  async resume(name: string): Promise<void> {
    await this.#registry.resume(name);
    await this.#here.announce();
  }

  /**
   * Moves a consumer back or forward to a position of the log.
   *
   * A move forward skips the events in between, for good. After a move back, the events that were
   * already handled come again with `replayed: true`. What a projection has written stays, so moving it
   * back counts events twice: call `rebuild` to build it again.
   *
   * @throws ConsumerStateError if the consumer is being rebuilt, is an inline projection, or has parked
   * events, or if the log ends before the position.
   */
  async reset(name: string, position: number): Promise<void> {
    checkWholeNumber('position', position);
    await this.#reached(name);
    await this.#registry.reset(name, position);
    await this.#here.announce();
  }

  /**
   * Builds a new generation of a consumer beside the one in use, which continues meanwhile. Once the
   * new generation has caught up, it replaces the one in use. Returns its number at once; `list()`
   * shows its progress.
   *
   * Events that a handler or a saga parks meanwhile were never handled, and would be lost. Until they
   * are retried or discarded, the generation in use stays, and the error in `list()` says so.
   *
   * @throws ConsumerStateError if the consumer is already being rebuilt, is not part of this
   * application, has not reached `from`, or is a handler or a saga with parked events.
   */
  async rebuild(name: string, given: RebuildOptions = {}): Promise<number> {
    const options = rebuildOptions.take(given);
    checkWholeNumber('from', options.from ?? 0);
    if (options.eventsPerSecond !== undefined) {
      checkWholeNumber('eventsPerSecond', options.eventsPerSecond, 1);
    }
    const generation = await this.#registry.rebuild(await this.#consumerHere(name), options);
    await this.#here.announce();
    return generation;
  }

  /**
   * Ends a rebuild and removes what it has built; the generation in use is not affected.
   *
   * @throws ConsumerStateError if it is not being rebuilt, or is not part of this application.
   */
  async cancelRebuild(name: string): Promise<void> {
    await this.#registry.cancelRebuild(await this.#consumerHere(name));
    await this.#here.announce();
  }

  /**
   * Returns the aggregates with events that a consumer has parked, in the order of the failed events.
   */
  async parked(name: string): Promise<readonly ParkedAggregate[]> {
    return this.#registry.parked(name);
  }

  /** Retries the parked events of one aggregate, or of all, in order; returns their number. */
  async retryParked(name: string, aggregate?: AggregateRef): Promise<number> {
    const ref = aggregate === undefined ? undefined : checkAggregateRef(aggregate);
    const count = await this.#registry.retryParked(name, ref);
    await this.#here.announce();
    return count;
  }

  /**
   * Discards one parked event for good, by its position; the others of its aggregate are tried again.
   * The event is kept in `skipped(name)`.
   *
   * @throws ConsumerStateError if no event is parked at that position.
   */
  async discardParked(name: string, position: number, options: SkipOptions = {}): Promise<void> {
    checkWholeNumber('position', position, 1);
    await this.#registry.discardParked(name, position, checkSkipOptions('discardParked', options));
    await this.#here.announce();
  }

  /**
   * Skips the event at which a consumer has stopped, for good, and restarts the consumer after it. The
   * position is that of the error in `list()`. The event is kept in `skipped(name)`.
   *
   * @throws ConsumerStateError if the consumer has not stopped, or not at this position.
   */
  async skip(name: string, position: number, options: SkipOptions = {}): Promise<void> {
    checkWholeNumber('position', position, 1);
    await this.#registry.skip(name, position, checkSkipOptions('skip', options));
    await this.#here.announce();
  }

  /**
   * Returns the events that a consumer has skipped for good, the last one first: by its policy
   * `'skip'`, by `skip`, by `discardParked`, and those that were parked when it was forgotten. Events
   * that a `reset` skips are not included.
   */
  async skipped(name: string, options: SkippedOptions = {}): Promise<readonly SkippedEvent[]> {
    const { limit } = skippedOptions.take(options);
    return this.#registry.skipped(name, checkLimit(limit));
  }

  /**
   * Removes a consumer that no process runs any more, with its checkpoints and its parked events. An
   * application that has it under this name starts it as a new consumer.
   *
   * The read model of a projection stays; drop its tables yourself. `skipped(name)` stays too, and
   * includes the events that were parked.
   *
   * @throws ConsumerStateError while a process runs it, with the names of those processes. A process
   * that was killed counts until its lease has ended.
   */
  async forget(name: string, options: SkipOptions = {}): Promise<void> {
    await this.#registry.forget(name, checkSkipOptions('forget', options));
  }

  /**
   * Resolves once a consumer has finished everything up to a position, such as that of an append.
   *
   * Works from any process. Everything that the consumer has written up to that position is then
   * visible to queries; events that it has parked or skipped count as finished.
   *
   * @throws WaitTimeoutError if it does not reach the position in time; the error gives the reason if
   * the consumer is down.
   */
  async waitFor(name: string, position: number, options: WaitOptions = {}): Promise<void> {
    const { timeoutMs = 5_000 } = waitOptions.take(options);
    checkWholeNumber('position', position);
    checkWholeNumber('timeoutMs', timeoutMs);
    await waitForPosition(name, position, timeoutMs, () => this.#reached(name));
  }

  async #reached(name: string): Promise<Reached> {
    const reached = await this.#poll.ask(name);
    if (reached) return reached;
    throw await this.#unknown(name);
  }

  /** Returns the consumer of this application, because its code is needed. */
  async #consumerHere(name: string): Promise<Consumer> {
    const consumer = this.#here.consumers.get(name);
    if (consumer) return consumer;
    await this.#reached(name);
    throw new ConsumerStateError(
      name,
      'is not among the providers of this application, so its read model cannot be made or removed ' +
        'here. Ask an application that has it.',
    );
  }

  async #unknown(name: string): Promise<UnknownConsumerError> {
    const states = await this.#registry.states();
    return new UnknownConsumerError(
      name,
      states.map((state) => state.name),
    );
  }
}
