import { Logger } from '@nestjs/common';
import type { EventBus } from '@nestjs/cqrs';
import { runAsReactionTo } from '../events/event-metadata.ts';
import type { EventRecord } from '../events/event-record.ts';
import type { EventStore } from '../store/event-store.ts';
import { LogTail } from '../store/log-tail.ts';

/** Which events reach the bus: those appended by this process, those of every process, or none. */
export type EventBusMode = 'own' | 'all' | 'off';

export interface EventBusBridgeOptions {
  readonly eventBus: EventBusMode;
  /** With `'all'`: how long until appends of other processes are noticed. */
  readonly pollIntervalMs: number;
  /** With `'all'`: the types that this process can read, by their stored names. */
  readonly readableTypes: () => readonly string[];
}

/**
 * Publishes recorded events on the `EventBus` of `@nestjs/cqrs`, after their commit, never before.
 *
 * At most once and without waiting for handlers: that is all a bus in memory can promise. `'all'`
 * follows the order of the log; `'own'` the order in which this process learns of its commits,
 * which for one aggregate is that of its versions. Handlers and sagas run with the record's correlation, so that what they
 * append says what caused it.
 */
export class EventBusBridge {
  readonly #logger = new Logger('EventStore');
  #stop: (() => Promise<void> | void) | undefined;

  constructor(
    private readonly store: EventStore,
    private readonly bus: EventBus,
    private readonly options: EventBusBridgeOptions,
  ) {}

  async start(): Promise<void> {
    const publish = (records: readonly EventRecord[]): void => {
      for (const record of records) this.#publish(record);
    };
    if (this.options.eventBus === 'own') {
      this.#stop = this.store.onAppended(publish);
    } else if (this.options.eventBus === 'all') {
      const { pollIntervalMs: intervalMs, readableTypes: types } = this.options;
      const tail = new LogTail(
        this.store,
        { intervalMs, types },
        {
          onRecords: publish,
          onUnreadable: (error) =>
            this.#logger.error('An event cannot be read and does not reach the EventBus.', error),
          onError: (error) =>
            this.#logger.error('The log could not be read for the EventBus; trying again.', error),
        },
      );
      tail.start(await this.store.currentPosition());
      this.#stop = () => tail.stop();
    }
  }

  async stop(): Promise<void> {
    await this.#stop?.();
  }

  #publish(record: EventRecord): void {
    try {
      runAsReactionTo(record, () => this.bus.publish(record.event));
    } catch (error) {
      this.#logger.error(
        `Publishing the event at position ${record.position} (${record.type}) failed; it is stored.`,
        error,
      );
    }
  }
}
