import type { ChainedLog } from '../evidence/chained-log.ts';
import type { EventClass } from '../events/domain-event.decorator.ts';
import type { ConsumerExplorer } from './consumer-explorer.ts';
import { untilInlineInUse } from './until-inline-in-use.ts';
import type { ResolvedOptions } from './options.ts';
import type { PostgresConsumers } from '../postgres/subscriptions/postgres.consumers.ts';
import type { EventStore } from '../store/event-store.ts';
import { FirstAppended } from '../store/appending/first-appended.ts';
import type { Consumer } from '../subscriptions/consumer.ts';
import { ConsumerHost } from '../subscriptions/running/consumer-host.ts';
import type { ConsumersHere } from '../subscriptions/control/consumers.ts';
import type { OperatorLog } from '../store/operator-log.ts';

/** A store as it was made at boot. */
export interface BootedStore {
  readonly store: EventStore;
  /** Runs projections and durable handlers; left out where they cannot run. */
  readonly consumers?: PostgresConsumers & {
    applyInline(projections: readonly Consumer[]): void;
  };
  /** The hash chain of the log; left out where there cannot be one. */
  readonly chainedLog?: ChainedLog;
  /** Problems of the storage, each with its remedy. */
  readonly problems: readonly string[];
  /** Resolves once all appends accepted so far are settled. */
  drain(): Promise<void>;
  /** Accepts no more appends, and resolves once all accepted ones are settled. */
  close(): Promise<void>;
}

export interface ApplicationConsumersOptions extends Pick<
  ResolvedOptions,
  'autoStart' | 'leaseMs' | 'pollIntervalMs'
> {
  readonly storedTypes: (events: readonly EventClass[]) => readonly string[];
  readonly log: OperatorLog;
}

const isInline = ({ kind }: Consumer): boolean => kind === 'inline-projection';

/** The projections and durable handlers of one application, from their discovery to the shutdown. */
export class ApplicationConsumers implements ConsumersHere {
  #consumers: ReadonlyMap<string, Consumer> = new Map();
  readonly #host: ConsumerHost | undefined;
  readonly #firstAppended: FirstAppended;
  readonly #stopping = new AbortController();
  #stopSignalling: (() => void) | undefined;

  constructor(
    private readonly explorer: ConsumerExplorer,
    private readonly booted: BootedStore,
    private readonly options: ApplicationConsumersOptions,
  ) {
    const { store, consumers } = booted;
    this.#firstAppended = new FirstAppended(store);
    if (consumers) this.#host = new ConsumerHost({ ...consumers, ...options, store }, options);
  }

  get consumers(): ReadonlyMap<string, Consumer> {
    return this.#consumers;
  }

  /**
   * Finds the consumers; returns their problems, each with its remedy.
   *
   * From this call on, every append applies the inline projections, even an append that another module
   * makes while it is initialized.
   */
  explore(hasHandlers: Promise<void>): readonly string[] {
    const { consumers, problems } = this.explorer.explore(hasHandlers);
    this.#consumers = new Map(consumers.map((consumer) => [consumer.name, consumer]));
    this.booted.consumers?.applyInline(consumers.filter(isInline));
    return [...problems, ...this.#unknownNames()];
  }

  /** Returns a problem for every consumer that was loaded after `explore` and should run here. */
  lateProblems(): readonly string[] {
    return this.explorer
      .late()
      .filter(({ name, isInline: inline }) => inline || this.#isWanted(name))
      .map(
        ({ name, className }) =>
          `The consumer '${name}' on ${className} came with a module that was loaded when the ` +
          "application had started, and does not run. Import that module in your application's " +
          'module instead of loading it lazily.',
      );
  }

  async start(): Promise<void> {
    const { consumers } = this.booted;
    if (!this.#host || !consumers) return;
    const { signals } = consumers;
    this.#stopSignalling = this.booted.store.onAppended(() => signals.announce('append'));
    const all = [...this.#consumers.values()];
    const inline = all.filter(isInline);
    const run = all.filter(({ name }) => this.runs(name));
    await this.#host.start(run, this.#firstAppended.end());
    if (inline.length === 0) return;
    const names = inline.map(({ name }) => name);
    const { log } = this.options;
    await untilInlineInUse(names, { ...consumers, log }, this.#stopping.signal);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#firstAppended.end();
    this.#stopSignalling?.();
    await this.#host?.stop();
  }

  async announce(): Promise<void> {
    await this.#host?.announce();
  }

  /**
   * Returns whether this application may run the consumer; of several that may, one runs it at a time.
   */
  runs(name: string): boolean {
    const consumer = this.#consumers.get(name);
    return consumer !== undefined && (isInline(consumer) || this.#isWanted(name));
  }

  #isWanted(name: string): boolean {
    const { autoStart } = this.options;
    return typeof autoStart === 'boolean' ? autoStart : autoStart.includes(name);
  }

  #unknownNames(): string[] {
    const { autoStart } = this.options;
    if (typeof autoStart === 'boolean') return [];
    return autoStart
      .filter((name) => !this.#consumers.has(name))
      .map(
        (name) =>
          `The option 'autoStart' names the consumer '${name}', which no provider of this ` +
          `application is. It has: ${[...this.#consumers.keys()].join(', ') || 'none'}.`,
      );
  }
}
