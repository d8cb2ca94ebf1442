import { isDeepStrictEqual } from 'node:util';
import { beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { DataSource } from 'typeorm';
import { BinaryCodec } from '../../lib/events/payload/binary.codec.ts';
import { DomainEvent } from '../../lib/events/domain-event.decorator.ts';
import { EventData } from '../../lib/events/event-data.ts';
import { JsonCodec } from '../../lib/events/payload/json.codec.ts';
import {
  anyEventId,
  anyName,
  anything,
  expected,
  isStorable,
  isStorableName,
  jsonLike,
} from '../support/payloads.ts';
import { seed } from '../support/random.ts';
import { openStore, type TestStore } from '../support/store.ts';
import { useDatabase } from '../support/use-store.ts';

@DomainEvent('payload.recorded')
class Recorded {}

/** An event with these members, made as a reader would get it: without any constructor. */
const eventOf = (payload: object): object =>
  Object.setPrototypeOf(structuredClone(payload), Recorded.prototype);

const database = useDatabase();

describe('a round trip through PostgreSQL', () => {
  let dataSource: DataSource;
  const testSeed = seed();

  beforeAll(async () => {
    dataSource = await database.dataSource();
  });

  /** Appends every payload by itself; returns what came back, or the code of the refusal. */
  async function recordAll(store: TestStore, payloads: readonly object[]): Promise<unknown[]> {
    return Promise.all(
      payloads.map(async (payload, n) => {
        const aggregate = { type: 'payload', id: String(n) };
        try {
          await store.append(aggregate, [eventOf(payload)]);
        } catch (error) {
          expect(await store.currentVersion(aggregate)).toBe(0);
          return (error as { code?: string }).code;
        }
        const { records } = await store.fetchByAggregate(aggregate);
        return { ...records[0]!.event };
      }),
    );
  }

  it('gives back every JSON-like payload exactly, or refuses it before writing', async () => {
    const store = await openStore(dataSource, {
      schema: 'as_json',
      codec: new JsonCodec(),
      events: [Recorded],
    });
    const payloads = fc.sample(jsonLike, { seed: testSeed, numRuns: 500 });
    const outcomes = await recordAll(store, payloads);
    for (const [n, outcome] of outcomes.entries()) {
      const payload = payloads[n]!;
      const wanted = isStorable(payload) ? expected(payload) : 'INVALID_EVENT';
      if (!isDeepStrictEqual(outcome, wanted)) expect(outcome).toEqual(wanted);
    }
    expect(outcomes.some((outcome) => outcome === 'INVALID_EVENT')).toBe(true);
  });

  it('gives back every payload that BinaryCodec takes exactly', async () => {
    const store = await openStore(dataSource, {
      schema: 'as_binary',
      codec: new BinaryCodec(),
      events: [Recorded],
    });
    const payloads = fc.sample(anything, { seed: testSeed, numRuns: 500 });
    const outcomes = await recordAll(store, payloads);
    const kept = outcomes.filter((outcome, n) => {
      if (outcome === 'INVALID_EVENT') return false;
      if (!isDeepStrictEqual(outcome, expected(payloads[n]))) {
        expect(outcome).toEqual(expected(payloads[n]));
      }
      return true;
    });
    expect(kept.length).toBeGreaterThan(50);
  });

  it('gives back every id and every type name exactly, or refuses it before writing', async () => {
    const store = await openStore(dataSource, { schema: 'as_ids', events: [Recorded] });
    const references = fc.record({ type: anyName, id: anyName, eventId: anyEventId });
    const given = fc.sample(references, { seed: testSeed, numRuns: 200 });
    const counts = { kept: 0, refused: 0 };
    for (const { type, id, eventId } of given) {
      const before = await store.currentPosition();
      const event = new EventData(new Recorded(), { id: eventId });
      const outcome: unknown = await store.append({ type, id }, [event]).catch((error) => error);
      if (isStorableName(type, 255) && isStorableName(id, 512) && isUuid(eventId)) {
        counts.kept += 1;
        const { records } = await store.fetch(before);
        const kept = records.map((record) => ({ ...record.aggregate, eventId: record.id }));
        expect(kept).toEqual([{ type, id, eventId: eventId.toLowerCase() }]);
      } else {
        counts.refused += 1;
        expect((outcome as { code?: string }).code).toMatch(/^INVALID_(AGGREGATE_REF|EVENT)$/);
        expect(await store.currentPosition()).toBe(before);
      }
    }
    expect(Math.min(counts.kept, counts.refused)).toBeGreaterThan(20);
  });
});

const isUuid = (text: string): boolean =>
  /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text) && text.length === 36;
