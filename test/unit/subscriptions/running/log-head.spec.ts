import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import { InMemoryEventStore } from '../../../../lib/store/in-memory/in-memory.event-store.ts';
import type { LogReader } from '../../../../lib/store/reading/log-reader.ts';
import type { LogPlace } from '../../../../lib/store/reading/log-place.ts';
import { LogHead } from '../../../../lib/subscriptions/running/log-head.ts';
import { eventFilterOf } from '../../../../lib/subscriptions/delivery/event-filter.ts';
import type { LogFilter } from '../../../../lib/subscriptions/running/selection.ts';
import { WakeUp } from '../../../../lib/subscriptions/running/wake-up.ts';
import { consumer } from '../../../support/consumers.ts';
import { DomainEvent } from '../../../../lib/events/domain-event.decorator.ts';
import { EventRegistry } from '../../../../lib/events/event-registry.ts';
import { upcaster } from '../../../../lib/events/upcaster.ts';

@DomainEvent('head.sent')
class Sent {
  constructor(readonly n: number) {}
}

@DomainEvent('head.received')
class Received {
  constructor(readonly n: number) {}
}

const filterFor = (...classes: (typeof Sent | typeof Received)[]): LogFilter => ({
  storedTypes: classes.map((each) => (each === Sent ? 'head.sent' : 'head.received')),
  aggregateTypes: undefined,
  passes: eventFilterOf(consumer('any', async () => undefined, { events: classes })),
});

let store: InMemoryEventStore;
let wakeUp: WakeUp;
let head: LogHead;
let reads: jest.SpiedFunction<LogReader['readOn']>;

beforeEach(() => {
  store = new InMemoryEventStore({ events: [Sent, Received] });
  reads = jest.spyOn(store.log, 'readOn');
  wakeUp = new WakeUp();
  head = new LogHead(store.log, wakeUp, ['head.sent', 'head.received']);
  store.onAppended(() => wakeUp.wake());
});

/** A place without a known event. */
const at = (position: number): LogPlace => ({ position, mark: null });
const append = (...events: object[]) => store.append({ type: 'head', id: 'h' }, events);
const positions = async (after: number, filter: LogFilter, limit = 100): Promise<number[]> =>
  (await head.read(at(after), filter, limit)).records.map(({ position }) => position);

describe('the head of the log', () => {
  it('is read once for all runners that have reached it', async () => {
    await append(new Sent(1), new Received(2), new Sent(3));
    const pages = await Promise.all([
      positions(0, filterFor(Sent)),
      positions(0, filterFor(Received)),
      positions(0, filterFor(Sent, Received)),
    ]);
    expect(pages).toEqual([[1, 3], [2], [1, 2, 3]]);
    expect(reads).toHaveBeenCalledTimes(1);
    wakeUp.wake();
    await Promise.all([
      head.read(at(3), filterFor(Sent), 10),
      head.read(at(3), filterFor(Received), 10),
    ]);
    expect(reads).toHaveBeenCalledTimes(2);
  });

  it('is read once for all runners again after everything was forgotten', async () => {
    await append(new Sent(1), new Received(2), new Sent(3));
    await head.read(at(2), filterFor(Sent), 10);
    head.forget();
    reads.mockClear();
    await positions(0, filterFor(Sent));
    await positions(0, filterFor(Received));
    expect(reads).toHaveBeenCalledTimes(1);
  });

  it('is not read again before the next wake-up', async () => {
    await append(new Sent(1));
    for (const position of [0, 1, 1]) await head.read(at(position), filterFor(Sent), 10);
    expect(reads).toHaveBeenCalledTimes(1);
  });

  it('is read again after a wake-up, even while it is being read', async () => {
    const early = head.read(at(0), filterFor(Sent), 10);
    await append(new Sent(1));
    const late = head.read(at(0), filterFor(Sent), 10);
    expect((await early).position + (await late).records.length).toBeGreaterThan(0);
    expect(await positions(0, filterFor(Sent))).toEqual([1]);
  });

  it('reports whether later events may exist after the page', async () => {
    await append(...Array.from({ length: 5 }, (_, n) => new Sent(n)));
    expect(await head.read(at(0), filterFor(Sent), 2)).toMatchObject({ position: 2, atEnd: false });
    expect(await head.read(at(4), filterFor(Sent), 2)).toMatchObject({ position: 5, atEnd: true });
    expect(await head.read(at(5), filterFor(Sent), 2)).toMatchObject({ position: 5, atEnd: true });
  });

  it('never separates the events that one stored event was upcast into', async () => {
    const split = upcaster('head.received', 1, ({ n }) => [
      { type: 'head.sent', revision: 1, payload: { n } },
      { type: 'head.sent', revision: 1, payload: { n } },
      { type: 'head.sent', revision: 1, payload: { n } },
    ]);
    const registry = new EventRegistry();
    for (const each of [Sent, Received]) registry.register(each);
    const splitting = new InMemoryEventStore({}, registry);
    const aggregate = { type: 'head', id: 'h' };
    await splitting.append(aggregate, [new Received(1), new Received(2)]);
    registry.registerUpcaster(split);
    head = new LogHead(splitting.log, wakeUp, ['head.sent', 'head.received']);
    const filter = { ...filterFor(Sent), storedTypes: ['head.sent', 'head.received'] };
    const parts = async (after: number) =>
      (await head.read(at(after), filter, 1)).records.map(({ position, part }) => [position, part]);
    // Kept records are read in one go: the page ends after the event, although that has several records.
    expect(await parts(0)).toEqual([
      [1, 0],
      [1, 1],
      [1, 2],
    ]);
    expect(await parts(1)).toEqual([
      [2, 0],
      [2, 1],
      [2, 2],
    ]);
  });

  it('hands every event over once and in order, to readers of any pace', async () => {
    const readers = [filterFor(Sent), filterFor(Received), filterFor(Sent, Received)].map(
      (filter) => ({
        filter,
        position: 0,
        seen: [] as number[],
      }),
    );
    for (let round = 0; round < 200; round++) {
      if (round % 3 === 0) {
        await append(
          ...Array.from({ length: 60 }, (_, n) => (n % 2 ? new Sent(n) : new Received(n))),
        );
      }
      for (const [index, reader] of readers.entries()) {
        if (round % (index * 7 + 1) !== 0) continue;
        const page = await head.read(at(reader.position), reader.filter, 50 + 40 * index);
        reader.seen.push(...page.records.map(({ position }) => position));
        reader.position = page.position;
      }
    }
    for (const reader of readers) {
      for (let page; !page?.atEnd; reader.position = page.position) {
        page = await head.read(at(reader.position), reader.filter, 1_000);
        reader.seen.push(...page.records.map(({ position }) => position));
      }
      const { records } = await store.fetch(0, { limit: 10_000, types: reader.filter.storedTypes });
      expect(reader.seen).toEqual(records.map(({ position }) => position));
    }
  });

  it('keeps records up to a number of bytes, whatever their size', async () => {
    const large = new Sent(1);
    const megabyte = 1_048_576;
    reads.mockRestore();
    const original = store.log.readOn.bind(store.log);
    const readOn = jest.spyOn(store.log, 'readOn').mockImplementation(async (...call) => ({
      ...(await original(...call)),
      bytes: 3 * megabyte,
    }));
    for (let n = 0; n < 5; n++) {
      await append(large);
      await positions(n, filterFor(Sent));
    }
    const before = readOn.mock.calls.length;
    // The last two of three megabytes each are kept; what came before them is read again.
    expect(await positions(3, filterFor(Sent))).toEqual([4, 5]);
    expect(readOn.mock.calls.length).toBe(before);
    expect(await positions(2, filterFor(Sent))).toEqual([3, 4, 5]);
    expect(readOn.mock.calls.length).toBe(before + 1);
  });

  it('forgets the records of a log that was exchanged', async () => {
    await append(new Sent(1), new Sent(2));
    await positions(0, filterFor(Sent));
    head.forget();
    jest.spyOn(store.log, 'readOn').mockResolvedValue({
      ...{ position: 2, mark: null, atEnd: true, bytes: 0 },
      records: [],
    });
    expect(await positions(1, filterFor(Sent))).toEqual([]);
  });
});
