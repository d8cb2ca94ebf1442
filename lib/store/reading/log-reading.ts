import { setImmediate } from 'node:timers/promises';
import type { EventRecord } from '../../events/event-record.ts';
import type { EventRegistry } from '../../events/event-registry.ts';
import type { EventSerializer, StoredEvent } from '../../events/event-serializer.ts';
import { checkWholeNumber } from '../../input/whole-number.ts';
import {
  type EventStorage,
  type LogRange,
  pageBytes,
  type StoredLogPage,
} from '../event-storage.ts';
import type { LogPlace } from './log-place.ts';
import type { LogReader, LogReadOptions, LogStep } from './log-reader.ts';
import type { LogPage } from './pages.ts';
import {
  checkAggregateTypes,
  checkDirection,
  checkLimit,
  logReadOptions,
  type ReadOptions,
} from './read-options.ts';
import { reviveEvents } from './revive-events.ts';

type ManagerOf = (manager: ReadOptions['manager']) => LogRange['manager'];

/** Reads the whole log of a store: in pages, as a stream, or step by step for its consumers. */
export class LogReading implements LogReader {
  readonly #storage: EventStorage;
  readonly #registry: EventRegistry;
  readonly #serializer: EventSerializer;
  readonly #managerOf: ManagerOf;

  constructor(
    storage: EventStorage,
    registry: EventRegistry,
    serializer: EventSerializer,
    managerOf: ManagerOf,
  ) {
    this.#storage = storage;
    this.#registry = registry;
    this.#serializer = serializer;
    this.#managerOf = managerOf;
  }

  async page(after: number, options: ReadOptions): Promise<LogPage> {
    const range = this.#rangeOf(after, options);
    const isForward = range.direction === 'forward';
    let page = await this.#storage.readLog(range);
    const events = [...page.events];
    let bytes = bytesOf(events);
    // One step covers a bounded number of positions, and the next matching event may come much later.
    while (!page.atEnd && events.length < range.limit && bytes < pageBytes) {
      const limit = range.limit - events.length;
      page = await this.#storage.readLog({ ...range, after: page.reached, limit });
      events.push(...page.events);
      bytes += bytesOf(page.events);
    }
    const last = events.at(-1)?.position ?? page.head;
    return { position: isForward ? page.reached : last, records: this.#revive(events) };
  }

  /** Reads the next page while the current one is decoded and processed. */
  async *stream(after: number, options: ReadOptions): AsyncGenerator<EventRecord> {
    const range = this.#rangeOf(after, options);
    // In a transaction there is no reading ahead, because the work may use its connection.
    const readsAhead = range.manager === undefined;
    const next = ({ reached, mark }: StoredLogPage): Promise<StoredLogPage> =>
      this.#storage.readLog({ ...range, after: reached, mark });
    let page = await this.#storage.readLog(range);
    while (!page.atEnd) {
      const ahead = readsAhead ? next(page) : undefined;
      // A caller that stops early never awaits this read, so its rejection must not end the process.
      ahead?.catch(ignore);
      // Lets the request be sent: a caller that takes one record after another never yields to the
      // event loop.
      if (ahead) await setImmediate();
      // No yield*, which takes twice as long.
      for (const record of this.#revive(page.events)) yield record;
      page = await (ahead ?? next(page));
    }
    for (const record of this.#revive(page.events)) yield record;
  }

  async readOn(after: LogPlace, options: LogReadOptions): Promise<LogStep> {
    const { position, mark } = after;
    const { limit, types, aggregateTypes } = options;
    const filter = { types, aggregateTypes };
    const page = await this.#storage.readLog({
      ...filter,
      after: position,
      mark,
      limit,
      direction: 'forward',
    });
    return {
      position: page.reached,
      mark: page.mark,
      atEnd: page.atEnd,
      bytes: bytesOf(page.events),
      records: this.#revive(page.events),
    };
  }

  async endOfLog(manager?: LogRange['manager']): Promise<LogPlace> {
    const end = { after: 0, limit: 0, direction: 'forward', manager } as const;
    const { head, mark } = await this.#storage.readLog(end);
    return { position: head, mark };
  }

  async holds({ mark }: LogPlace): Promise<boolean> {
    return mark === null || this.#storage.holds(mark);
  }

  #rangeOf(after: number, given: ReadOptions): LogRange {
    const options = logReadOptions.take(given);
    const { types } = options;
    return {
      after: checkWholeNumber('after', after),
      limit: checkLimit(options.limit),
      direction: checkDirection(options.direction),
      types: types && this.#registry.storedNames(types),
      aggregateTypes: checkAggregateTypes(options.aggregateTypes),
      manager: this.#managerOf(options.manager),
    };
  }

  #revive(events: readonly StoredEvent[]): EventRecord[] {
    return reviveEvents(this.#serializer, events);
  }
}

/** Measures what was read, to limit pages; characters are precise enough. */
function bytesOf(events: readonly StoredEvent[]): number {
  let bytes = 0;
  for (const { payload, metadata, binary } of events) {
    bytes += payload.length + metadata.length + (binary?.length ?? 0);
  }
  return bytes;
}

const ignore = (): void => undefined;
