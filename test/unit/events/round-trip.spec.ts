import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { BinaryCodec } from '../../../lib/events/payload/binary.codec.ts';
import type { EventCodec } from '../../../lib/events/payload/event-codec.ts';
import { InvalidEventError } from '../../../lib/events/events.errors.ts';
import { JsonCodec } from '../../../lib/events/payload/json.codec.ts';
import { anything, expected, isStorable, jsonLike } from '../../support/payloads.ts';
import { seed } from '../../support/random.ts';

function encodeAndDecode(codec: EventCodec, payload: object): object | InvalidEventError {
  try {
    return codec.decode(codec.encode(payload, { type: 'tested' }), { type: 'tested' });
  } catch (error) {
    if (error instanceof InvalidEventError) return error;
    throw error;
  }
}

describe('A round trip through the codecs', () => {
  const runs = { seed: seed(), numRuns: 500 };

  it('keeps every storable JSON-like payload exactly, and refuses every other', () => {
    const codec = new JsonCodec();
    fc.assert(
      fc.property(jsonLike, (payload) => {
        const outcome = encodeAndDecode(codec, payload);
        if (outcome instanceof InvalidEventError) expect(isStorable(payload)).toBe(false);
        else expect(isDeepStrictEqual(outcome, expected(payload))).toBe(true);
      }),
      runs,
    );
  });

  it.each<[string, EventCodec]>([
    ['JsonCodec', new JsonCodec()],
    ['BinaryCodec', new BinaryCodec({ compressAboveBytes: 200 })],
  ])('through %s gives any payload back exactly or refuses it', (_, codec) => {
    let kept = 0;
    fc.assert(
      fc.property(anything, (payload) => {
        const outcome = encodeAndDecode(codec, payload);
        if (outcome instanceof InvalidEventError) return;
        kept++;
        expect(isDeepStrictEqual(outcome, expected(payload))).toBe(true);
      }),
      runs,
    );
    expect(kept).toBeGreaterThan(20);
  });
});
