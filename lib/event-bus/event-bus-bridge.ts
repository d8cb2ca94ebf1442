import type { EventBus } from '@nestjs/cqrs';
import type { EventRecord } from '../events/event-record.ts';
import type { EventStore } from '../store/event-store.ts';
import { FirstAppended } from '../store/appending/first-appended.ts';
import { type LogPlace, startOfLog } from '../store/reading/log-place.ts';
import { LogTail } from './log-tail.ts';
import type { OperatorLog } from '../store/operator-log.ts';
import { AppendPublisher } from './append-publisher.ts';
import { reactToStoredEvents } from './bus-reactions.ts';

/** Which events reach the bus: those appended by this process, those of every process, or none. */
export type EventBusMode = 'own' | 'all' | 'off';

export interface EventBusBridgeOptions {
  readonly eventBus: EventBusMode;
  /** With `'all'`: how often to look for appends of other processes, in milliseconds. */
  readonly pollIntervalMs: number;
  /** With `'all'`: returns the stored names of the types that this process can read. */
  readonly readableTypes: () => readonly string[];
}

/**
 * Publishes recorded events on the `EventBus` of `@nestjs/cqrs`, after their commit, never before.
 *
 * Delivers at most once and does not wait for handlers: a bus in memory can promise no more. `'all'`
 * follows the order of the log. `'own'` follows the order in which this process learns of its commits,
 * which for one aggregate is the order of its versions. Handlers and sagas run with the record's
 * correlation, so that the events that they append name their cause.
 *
 * The bridge listens from its construction, which is before any caller can append. The bus has its
 * handlers only once the application is up, so events appended earlier, such as in `onModuleInit`,
 * wait.
 */
export class EventBusBridge {
  readonly #unsubscribe: (() => void) | undefined;
  readonly #firstAppended: FirstAppended | undefined;
  readonly #waiting: EventRecord[] = [];
  #publisher: AppendPublisher | undefined;
  #tail: LogTail | undefined;
  #isStopped = false;

  constructor(
    private readonly store: EventStore,
    private readonly options: EventBusBridgeOptions,
    private readonly log: OperatorLog,
  ) {
    const { eventBus } = options;
    if (eventBus === 'own') this.#unsubscribe = store.onAppended((records) => this.#take(records));
    if (eventBus === 'all') this.#firstAppended = new FirstAppended(store);
  }

  /** Publishes on this bus once it has its handlers; with `'all'`, every event appended from now on. */
  async start(bus: EventBus, hasHandlers: Promise<void>): Promise<void> {
    if (this.options.eventBus === 'off') return;
    reactToStoredEvents(bus);
    const publisher = new AppendPublisher(bus, this.log);
    const now = this.options.eventBus === 'all' ? await this.store.log.endOfLog() : startOfLog;
    void hasHandlers.then(() => this.#open(publisher, now));
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#unsubscribe?.();
    this.#firstAppended?.end();
    await this.#tail?.stop();
  }

  #open(publisher: AppendPublisher, now: LogPlace): void {
    if (this.#isStopped) return;
    this.#publisher = publisher;
    publisher.publish(this.#waiting.splice(0));
    if (!this.#firstAppended) return;
    const first = this.#firstAppended.end() ?? Infinity;
    this.#follow(first < now.position ? { position: first, mark: null } : now);
  }

  #take(records: readonly EventRecord[]): void {
    if (this.#publisher) this.#publisher.publish(records);
    // No spread: a transaction may have appended more events than a call can take as arguments.
    else for (const record of records) this.#waiting.push(record);
  }

  #follow(place: LogPlace): void {
    const { pollIntervalMs: intervalMs, readableTypes: types } = this.options;
    this.#tail = new LogTail(
      this.store,
      { intervalMs, types },
      {
        onRecords: (records) => this.#publisher?.publish(records),
        onUnreadable: (error) =>
          this.log.error('An event cannot be read and does not reach the EventBus.', error),
        onError: (error) =>
          this.log.error('The log could not be read for the EventBus; trying again.', error),
        onDiverged: (error, position) =>
          this.log.warn(
            `The log no longer holds the event at position ${error.position}, which was published: ` +
              'the database was restored or has lost events. The EventBus continues after position ' +
              `${position}, up to which the log is the same.`,
          ),
      },
    );
    this.#tail.start(place);
  }
}
