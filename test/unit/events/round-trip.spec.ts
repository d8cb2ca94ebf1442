import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { BinaryCodec } from '../../../lib/events/binary.codec.ts';
import type { EventCodec } from '../../../lib/events/event-codec.ts';
import { InvalidEventError } from '../../../lib/events/events.errors.ts';
import { JsonCodec } from '../../../lib/events/json.codec.ts';
import { seed } from '../../support/random.ts';

/** Text of arbitrary UTF-16 units, so with NUL and lone surrogates now and then. */
const anyText = fc.oneof(
  { weight: 20, arbitrary: fc.string({ unit: 'binary' }) },
  {
    weight: 1,
    arbitrary: fc.string({ unit: fc.constantFrom('a', '\\u', '\0', '\ud83d', '\ude00') }),
  },
);
const keys = fc.oneof(anyText, fc.constantFrom('__proto__', 'constructor', 'toJSON', '0', ''));
const { payload: jsonLike } = fc.letrec<{ payload: object; value: unknown }>((tie) => ({
  payload: fc.dictionary(keys, tie('value'), { maxKeys: 5, noNullPrototype: true }),
  value: fc.oneof(
    { depthSize: 'small' },
    anyText,
    fc.double(),
    fc.maxSafeInteger(),
    fc.boolean(),
    fc.constantFrom(null, 0, -0, 2 ** 53, 1e21),
    fc.array(tie('value'), { maxLength: 4 }),
    tie('payload'),
  ),
}));
const anything = fc.object({
  key: keys,
  withBigInt: true,
  withDate: true,
  withMap: true,
  withSet: true,
  withTypedArray: true,
  withSparseArray: true,
  withNullPrototype: true,
  withBoxedValues: true,
});

/** What the documentation promises to give back for a payload that was accepted. */
function expected(value: unknown): unknown {
  if (value === 0) return 0;
  if (Array.isArray(value)) return Array.from(value, expected);
  if (value instanceof Map) return new Map([...value].map(([k, v]) => [expected(k), expected(v)]));
  if (value instanceof Set) return new Set([...value].map(expected));
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Date || ArrayBuffer.isView(value)) return value;
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(members.map(([key, member]) => [key, expected(member)]));
}

/** Says, from the rules alone, whether JsonCodec has to accept this JSON-like value. */
function isStorable(value: unknown): boolean {
  if (typeof value === 'string') return isStorableText(value);
  if (typeof value === 'number') return Math.abs(value) <= Number.MAX_SAFE_INTEGER;
  if (typeof value !== 'object' || value === null) return true;
  return Object.entries(value).every(([key, member]) => isStorableText(key) && isStorable(member));
}
const isStorableText = (text: string): boolean => !text.includes('\0') && !/\p{Cs}/u.test(text);

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
