import { describe, expect, it } from '@jest/globals';
import { recordOf, rememberRecord, type EventRecord } from '../../../lib/events/event-record.ts';

class Counted {
  constructor(readonly by: number) {}
}

const recordFor = (event: object, position: number) => ({ event, position }) as EventRecord;

describe('The record of an event', () => {
  it.each([
    ['an event', new Counted(1)],
    ['an event that cannot be changed', Object.freeze(new Counted(1))],
  ])('is remembered for %s, only the latest one, and leaves no trace on it', (_, event) => {
    const [first, second] = [recordFor(event, 1), recordFor(event, 2)];
    expect(recordOf(event)).toBeUndefined();
    rememberRecord(first);
    expect(recordOf(event)).toBe(first);
    rememberRecord(second);
    expect(recordOf(event)).toBe(second);
    expect(Reflect.ownKeys(event)).toEqual(['by']);
    expect(recordOf(structuredClone(event))).toBeUndefined();
  });
});
