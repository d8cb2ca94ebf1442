import { describe, expect, it } from '@jest/globals';
import { BinaryCodec } from '../../../lib/events/payload/binary.codec.ts';
import type { EventCodec } from '../../../lib/events/payload/event-codec.ts';
import { EventTooLargeError, InvalidEventError } from '../../../lib/events/events.errors.ts';
import { JsonCodec } from '../../../lib/events/payload/json.codec.ts';
import { bushy, type Row, rows } from './bad-payloads.ts';
import { thrownBy } from '../../support/thrown-by.ts';

const codecs: [name: 'json' | 'binary', codec: EventCodec][] = [
  ['json', new JsonCodec()],
  ['binary', new BinaryCodec()],
];

describe.each(codecs)('The %s codec', (name, codec) => {
  it.each(rows.map((row): [string, Row] => [row.what, row]))('given %s', (_, row) => {
    const hints = { type: 'tested', ...row.hints };
    const outcome = row[name];
    if (typeof outcome === 'object' && 'refusedAt' in outcome) {
      const error = thrownBy(() => codec.encode(row.payload(), hints));
      expect(error).toBeInstanceOf(InvalidEventError);
      expect(error).toMatchObject({ eventType: hints.type, path: outcome.refusedAt });
      expect(error).toHaveProperty('reason', expect.stringMatching(outcome.because));
      if (outcome.cause !== undefined) expect(error).toHaveProperty('cause', outcome.cause);
      return;
    }
    const encoded = codec.encode(row.payload(), hints);
    const decoded = codec.decode(encoded, hints);
    expect(decoded).toStrictEqual(outcome === 'kept' ? row.payload() : outcome.becomes);
    expect(Object.getPrototypeOf(decoded)).toBe(Object.prototype);
    expect(() => JSON.parse(encoded.json) as unknown).not.toThrow();
    expect(encoded.json).not.toMatch(/(?<!\\)(\\\\)*\\u0000/);
  });

  it('stops at maxBytes instead of following shared references forever', () => {
    const error = thrownBy(() => codec.encode(bushy(), { type: 'bushy', maxBytes: 10_000 }));
    expect(error).toBeInstanceOf(EventTooLargeError);
    expect(error).toMatchObject({ eventType: 'bushy', maxEventBytes: 10_000 });
  });

  it('changes no prototype', () => {
    const payload = JSON.parse('{"constructor":{"prototype":{"polluted":true}}}') as object;
    codec.decode(codec.encode(payload));
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
    expect({}).not.toHaveProperty('polluted');
  });
});
