import { AsyncResource } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { EventClass } from '../../events/domain-event.decorator.ts';
import type { EventStore } from '../../store/event-store.ts';
import type { LogMark } from '../../store/reading/log-place.ts';
import type { CheckpointKey, CheckpointStore, HeldCheckpoint } from '../checkpoint-store.ts';
import type { Consumer } from '../consumer.ts';
import type { ConsumerRegistry } from '../consumer-registry.ts';
import { eventFilterOf } from '../delivery/event-filter.ts';
import type { Generations } from '../generations.ts';
import type { ParkedEvents } from '../parked-events.ts';
import { HandlerFailure } from '../delivery/handler-failure.ts';
import { HorizonWatch } from './horizon-watch.ts';
import { LogHead } from './log-head.ts';
import { Runner, type RunnerContext } from './runner.ts';
import type { OperatorLog } from '../../store/operator-log.ts';
import type { LogFilter } from './selection.ts';
import type { Signal, Signals } from '../signals.ts';
import { LeaseLostError } from '../subscriptions.errors.ts';
import { WakeUp } from './wake-up.ts';

export interface ConsumerHostOptions {
  /** How long a process that no longer answers keeps its checkpoints, in milliseconds. */
  readonly leaseMs: number;
  /** How often to poll for appends that no signal announced, in milliseconds. */
  readonly pollIntervalMs: number;
}

/** The parts with which a process runs its consumers. */
export interface ConsumerHostParts {
  readonly store: EventStore;
  readonly checkpoints: CheckpointStore;
  readonly parkedEvents: ParkedEvents;
  readonly generations: Generations;
  readonly registry: ConsumerRegistry;
  readonly signals: Signals;
  /** The names under which events of these classes may be stored. */
  readonly storedTypes: (events: readonly EventClass[]) => readonly string[];
  readonly log: OperatorLog;
}

interface Running {
  readonly runner: Runner;
  readonly since: number;
  readonly ended: Promise<void>;
}

/**
 * Runs the consumers of this process: takes and renews their leases, and keeps a runner for each
 * checkpoint that it holds.
 *
 * The database decides which process holds which checkpoint; the runners here only follow its
 * decisions, several times in every lease. A runner that fails is discarded, and a new one begins at
 * the checkpoint that the database has, so there is no state to repair.
 */
export class ConsumerHost {
  readonly #parts: ConsumerHostParts;
  readonly #options: ConsumerHostOptions;
  readonly #owner = `${hostname()}/${process.pid}/${randomUUID().slice(0, 8)}`;
  readonly #wakeUp = new WakeUp();
  readonly #running = new Map<string, Running>();
  /** How long a checkpoint rests after its runner has failed, and how often it has failed. */
  readonly #resting = new Map<string, { until: number; failures: number }>();
  readonly #endedAt = new Map<string, number>();
  /** The last event that each ended runner had read, so that the next runner notices if it was lost. */
  readonly #lastMarks = new Map<string, LogMark>();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #horizonWatch: HorizonWatch;
  #consumers: ReadonlyMap<string, Consumer> = new Map();
  #context: RunnerContext | undefined;
  #unsubscribe: (() => void) | undefined;
  #starting: Promise<void> | undefined;
  #beating: Promise<void> | undefined;
  #beatAgain = false;
  #stopped = false;
  #unreachable = false;
  // The caller that triggers a beat has a context of its own: a transaction, metadata. None of it may
  // reach the runners.
  readonly #beatSoon = AsyncResource.bind(() => void this.#beat());

  constructor(parts: ConsumerHostParts, options: ConsumerHostOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#horizonWatch = new HorizonWatch(parts.store, parts.log);
  }

  /**
   * Registers the consumers and runs them until `stop`, which may be called before the start is
   * complete.
   *
   * @param latestStart No new consumer begins after this position, even if it begins with "now".
   */
  async start(consumers: readonly Consumer[], latestStart?: number): Promise<void> {
    this.#starting = this.#start(consumers, latestStart);
    await this.#starting;
  }

  async #start(consumers: readonly Consumer[], latestStart?: number): Promise<void> {
    const { store, registry, generations, signals } = this.#parts;
    // Without consumers, nothing is read from a schema that another process may still have to migrate.
    if (consumers.length === 0) return;
    const { leaseMs } = this.#options;
    await registry.register(consumers, { owner: this.#owner, leaseMs }, latestStart);
    // Queries right after the start then find their tables, which may still be empty.
    await generations.prepare(consumers).catch((error: unknown) => {
      throw error instanceof HandlerFailure ? error.cause : error;
    });
    if (this.#stopped) return;
    this.#consumers = new Map(consumers.map((consumer) => [consumer.name, consumer]));
    const types = this.#parts.storedTypes(consumers.flatMap(({ events }) => events));
    const head = new LogHead(store.log, this.#wakeUp, types);
    this.#context = { ...this.#parts, head, wakeUp: this.#wakeUp };

    const wake = AsyncResource.bind(() => this.#wakeUp.wake());
    this.#unsubscribe = store.onAppended(wake);
    await signals.start((signal: Signal) => (signal === 'append' ? wake() : this.#beatSoon()));
    if (this.#stopped) return;
    this.#timers.push(setInterval(wake, this.#options.pollIntervalMs));
    this.#timers.push(setInterval(this.#beatSoon, Math.ceil(this.#options.leaseMs / 3)));
    // Separate from the leases, which must not wait for a read in a busy pool.
    this.#timers.push(setInterval(() => void this.#horizonWatch.look(), horizonIntervalMs));
    await this.#beat();
    // The other processes release the share of this one, or everything if the number of partitions
    // changes.
    signals.announce('control');
  }

  /** Checks the leases at once, here and in the other processes. */
  async announce(): Promise<void> {
    this.#parts.signals.announce('control');
    if (this.#context) this.#beatSoon();
  }

  /** Lets every runner finish its current work, for a few seconds, and releases all checkpoints. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    // The caller of `start` receives its error.
    const started = this.#starting?.catch(ignore);
    await Promise.race([started, delay(shutdownMs, undefined, { ref: false })]);
    this.#unsubscribe?.();
    for (const timer of this.#timers) clearInterval(timer);
    await this.#beating;
    const running = [...this.#running.values()];
    for (const { runner } of running) runner.stop();
    const ended = Promise.all(running.map((each) => each.ended));
    await Promise.race([ended, delay(shutdownMs, undefined, { ref: false })]);
    if (this.#context) {
      await this.#parts.checkpoints
        .release(this.#owner)
        .catch((error: unknown) =>
          this.#parts.log.warn('The leases could not be given back; they will run out.', error),
        );
      this.#parts.signals.announce('control');
    }
    await this.#parts.signals.stop();
  }

  #beat(): Promise<void> {
    this.#beatAgain = true;
    this.#beating ??= this.#beatUntilDone().finally(() => (this.#beating = undefined));
    return this.#beating;
  }

  async #beatUntilDone(): Promise<void> {
    while (this.#beatAgain && !this.#stopped) {
      this.#beatAgain = false;
      try {
        const askedAt = performance.now();
        const { leaseMs } = this.#options;
        const names = [...this.#consumers.keys()];
        const held = await this.#parts.checkpoints.hold(this.#owner, names, leaseMs);
        await this.#bringInLine(held, askedAt);
        this.#unreachable = false;
      } catch (error) {
        // The runners notice by themselves when they can no longer commit.
        if (!this.#unreachable) {
          this.#parts.log.warn('The leases of consumers cannot be renewed; trying again.', error);
        }
        this.#unreachable = true;
      }
    }
  }

  async #bringInLine(held: readonly HeldCheckpoint[], askedAt: number): Promise<void> {
    // Counted from the earliest time at which the database can have begun the lease.
    const heldUntil = askedAt + this.#options.leaseMs;
    const wanted = new Map(held.map((each) => [keyOf(each), each]));
    for (const [key, { runner }] of this.#running) {
      const now = wanted.get(key);
      // After a change of the fence, the work of the runner is void; after the loss of a table, a new
      // one stops.
      const isSound = now?.fence === runner.held.fence && now.lostTable === null;
      if (isSound && !now.unwanted) runner.renew(now, heldUntil);
      else runner.stop();
    }
    const idle = held.filter((each) => !this.#running.has(keyOf(each)));
    const unwanted = idle.filter((each) => each.unwanted);
    if (unwanted.length > 0) {
      await this.#parts.checkpoints.release(this.#owner, unwanted);
      this.#parts.signals.announce('control');
    }
    for (const each of idle) {
      // This answer may be older than the last commit of a runner that has ended meanwhile.
      if (each.unwanted || (this.#endedAt.get(keyOf(each)) ?? 0) > askedAt) continue;
      this.#run(each, heldUntil);
    }
  }

  #run(held: HeldCheckpoint, heldUntil: number): void {
    const key = keyOf(held);
    const consumer = this.#consumers.get(held.consumer)!;
    if ((this.#resting.get(key)?.until ?? 0) > performance.now()) return;
    const runner = new Runner(
      consumer,
      this.#filterOf(consumer),
      held,
      heldUntil,
      this.#context!,
      this.#lastMarks.get(key) ?? null,
    );
    const ended = runner.run().then(
      () => this.#hasEnded(key),
      (error: unknown) => this.#hasFailed(key, held, error),
    );
    this.#running.set(key, { runner, since: performance.now(), ended });
  }

  /**
   * Called for a runner that was stopped, unwanted or replaced: the database decides what comes next.
   */
  #hasEnded(key: string): void {
    this.#forget(key);
    this.#resting.delete(key);
    this.#endedAt.set(key, performance.now());
    if (!this.#stopped) this.#beatSoon();
  }

  #hasFailed(key: string, held: HeldCheckpoint, error: unknown): void {
    const ranMs = performance.now() - (this.#running.get(key)?.since ?? 0);
    this.#forget(key);
    this.#endedAt.set(key, performance.now());
    if (this.#stopped) return;
    const failures = ranMs > patienceMs ? 1 : (this.#resting.get(key)?.failures ?? 0) + 1;
    const restMs = Math.min(5_000, 100 * 2 ** failures) * (0.5 + Math.random() / 2);
    this.#resting.set(key, { until: performance.now() + restMs, failures });
    if (!(error instanceof LeaseLostError)) this.#report(held, error, failures);
    setTimeout(this.#beatSoon, restMs + 1).unref();
  }

  /**
   * Drops an ended runner, and the pages that were read for all. The cause of the end, such as a
   * failover, may have replaced the log, and the pages may then hold lost events.
   */
  #forget(key: string): void {
    const mark = this.#running.get(key)?.runner.lastMark;
    if (mark) this.#lastMarks.set(key, mark);
    else this.#lastMarks.delete(key);
    this.#running.delete(key);
    this.#context?.head.forget();
  }

  /** Reports to the log, less often each time, and to the database if it can be reached. */
  #report(held: HeldCheckpoint, error: unknown, failures: number): void {
    const { log, checkpoints } = this.#parts;
    if (Number.isInteger(Math.log2(failures))) {
      log.warn(
        `The consumer '${held.consumer}' was interrupted; it continues from its checkpoint.`,
        error,
      );
    }
    checkpoints.fail(held, 'retrying', { error, position: null, failures }).catch(ignore);
  }

  #filterOf(consumer: Consumer): LogFilter {
    return {
      storedTypes: this.#parts.storedTypes(consumer.events),
      aggregateTypes: consumer.settings.aggregateTypes,
      passes: eventFilterOf(consumer),
    };
  }
}

const ignore = (): void => undefined;

const horizonIntervalMs = 5_000;

/** The count of failures starts again after this time without a failure. */
const patienceMs = 10_000;

/** How long a shutdown waits for running handlers. */
const shutdownMs = 8_000;

const keyOf = ({ consumer, generation, partition }: CheckpointKey): string =>
  `${generation}/${partition}/${consumer}`;
