import { deflateSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import { BinaryCodec } from '../../../lib/events/payload/binary.codec.ts';
import { JsonCodec } from '../../../lib/events/payload/json.codec.ts';
import { thrownBy } from '../../support/thrown-by.ts';

describe('A store that changes its codec', () => {
  const payload = { at: new Date(7), note: 'a'.repeat(2000) };
  const hints = { type: 'tested', dates: ['at'] };

  it('reads what JsonCodec wrote with BinaryCodec', () => {
    const encoded = new JsonCodec().encode(payload, hints);
    expect(new BinaryCodec().decode(encoded, hints)).toStrictEqual(payload);
  });

  it('is advised to keep BinaryCodec for what BinaryCodec wrote', () => {
    const encoded = new BinaryCodec().encode(payload, hints);
    expect(() => new JsonCodec().decode(encoded, hints)).toThrow(/configure.*BinaryCodec/);
  });

  it('reads compressed and plain rows alike', () => {
    const plain = new BinaryCodec().encode(payload);
    const small = new BinaryCodec({ compressAboveBytes: 1000 }).encode(payload);
    expect(small.binary!.length).toBeLessThan(plain.binary!.length / 10);
    expect(new BinaryCodec().decode(small)).toStrictEqual(payload);
    expect(new BinaryCodec({ compressAboveBytes: 1000 }).decode(plain)).toStrictEqual(payload);
  });

  it('inflates a row no further than its JSON copy can account for', () => {
    const packed = deflateSync(Buffer.alloc(2 ** 26));
    for (const json of ['{}', JSON.stringify({ text: 'a'.repeat(2 ** 20) })]) {
      const binary = Buffer.concat([Buffer.of(2), packed]);
      const before = process.memoryUsage().arrayBuffers;
      const error = thrownBy(() => new BinaryCodec().decode({ json, binary }));
      expect(error).toMatchObject({
        code: 'UNDECODABLE_PAYLOAD',
        cause: { code: 'ERR_BUFFER_TOO_LARGE' },
      });
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 23);
    }
  });

  it.each<[string, unknown]>([
    ['fractions', Array(10_000).fill(0.5)],
    ['integers', Array(10_000).fill(65_536)],
    ['large integers', Array(10_000).fill(-(2 ** 33))],
    ['infinities', Array(10_000).fill(Infinity)],
    ['text beyond ASCII', '€'.repeat(10_000)],
    ['emoji', '💶'.repeat(10_000)],
    ['empty texts', Array(10_000).fill('')],
    ['empty lists', Array.from({ length: 10_000 }, () => [])],
    ['empty objects', Array.from({ length: 10_000 }, () => ({}))],
    ['empty Maps', Array.from({ length: 10_000 }, () => new Map())],
    ['empty Sets', Array.from({ length: 10_000 }, () => new Set())],
    ['empty bytes', Array.from({ length: 10_000 }, () => Buffer.alloc(0))],
    ['typed arrays', Array.from({ length: 10_000 }, () => Float64Array.of())],
    ['bytes', Buffer.alloc(10_000)],
    ['BigInts', Array(10_000).fill(1n)],
    ['large BigInts', Array(10_000).fill(2n ** 90n)],
    ['Dates', Array.from({ length: 10_000 }, () => new Date(1))],
    ['nothing', Array(10_000).fill(undefined)],
    ['objects of many shapes', Array.from({ length: 10_000 }, (_, at) => ({ [`k${at}`]: 1 }))],
    ['nothing at all', {}],
  ])('inflates every row that it wrote itself: %s', (_, content) => {
    const codec = new BinaryCodec({ compressAboveBytes: 0 });
    const encoded = codec.encode({ content });
    expect(codec.decode(encoded)).toStrictEqual({ content });
  });

  it('shares no memory with the row it was read from', () => {
    const row = new BinaryCodec().encode({ bytes: Buffer.from('abc') });
    const decoded = new BinaryCodec().decode(row);
    row.binary!.fill(0);
    expect(decoded).toEqual({ bytes: Buffer.from('abc') });
  });

  it.each([
    ['an unknown format', Buffer.of(9, 1)],
    ['cut short', new BinaryCodec().encode(payload).binary!.subarray(0, 40)],
    ['no bytes', Buffer.alloc(0)],
    ['no object', Buffer.of(1, 5)],
  ])('refuses a damaged row: %s', (_, binary) => {
    const error = thrownBy(() => new BinaryCodec().decode({ json: '{}', binary }));
    expect(error).toMatchObject({ code: 'UNDECODABLE_PAYLOAD' });
  });

  it('compares bytes before it advises to restore a row', () => {
    const error = thrownBy(() =>
      new BinaryCodec().decode({ json: '{}', binary: Buffer.from('abc') }),
    );
    expect((error as Error).message).toMatch(
      /3 bytes and the SHA-256 ba7816bf.*sha256\(binary_payload\).*If they are equal.*restore/,
    );
    const ofJson = thrownBy(() => new JsonCodec().decode({ json: '{', binary: null }));
    expect((ofJson as Error).message).toContain('1 bytes and the SHA-256 021fb596');
  });

  it.each(['[1]', 'null', '"text"', '{'])('refuses JSON that is no object: %s', (json) => {
    const error = thrownBy(() => new JsonCodec().decode({ json, binary: null }));
    expect(error).toMatchObject({ code: 'UNDECODABLE_PAYLOAD' });
  });
});
