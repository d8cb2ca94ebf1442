import { expect } from '@jest/globals';
import type { CodecHints } from '../../../lib/events/payload/event-codec.ts';

/** What a codec does with a payload: keeps it, gives back something else, or refuses it at a path. */
export type Outcome =
  'kept' | { becomes: object } | { refusedAt: string; because: RegExp; cause?: Error };

export interface Row {
  what: string;
  /** Makes the payload once for each codec, because some of them answer differently the second time. */
  payload: () => object;
  json: Outcome;
  binary: Outcome;
  hints?: CodecHints;
}

export const refused = (refusedAt: string, because: RegExp, cause?: Error): Outcome => ({
  refusedAt,
  because,
  cause,
});
export const both = (outcome: Outcome): Pick<Row, 'json' | 'binary'> => ({
  json: outcome,
  binary: outcome,
});

export const boom = new Error('boom');

export class Money {
  constructor(
    readonly amount: number,
    readonly currency: string,
  ) {}
}
export class Sealed {
  readonly #amount = 1;
  get amount(): number {
    return this.#amount;
  }
}
export class Tagged extends Money {
  readonly [Symbol.toStringTag] = 'Tagged';
}

export function nested(depth: number): object {
  let payload: object = {};
  for (let level = 1; level < depth; level++) payload = { in: payload };
  return payload;
}
export function circular(): object {
  const lines: unknown[] = [{}];
  const order = { lines };
  lines.push({ order });
  return { order };
}
/** Two references at each of 60 levels: a walk that follows all of them visits 2^60 members. */
export function bushy(): object {
  let payload: object = {};
  for (let level = 0; level < 60; level++) payload = { left: payload, right: payload };
  return payload;
}
export function flickering(first: unknown, later: unknown): object {
  let reads = 0;
  return Object.defineProperty({}, 'amount', {
    enumerable: true,
    get: () => (reads++ === 0 ? first : later),
  });
}
export const throwing = (member: string): object =>
  Object.defineProperty({}, member, {
    enumerable: true,
    get: () => {
      throw boom;
    },
  });

export const rows: Row[] = [
  {
    what: 'a NUL in a string',
    payload: () => ({ lines: [{}, {}, { sku: 'a\0b' }] }),
    ...both(refused('$.lines[2].sku', /NUL/)),
  },
  {
    what: 'a NUL in a key',
    payload: () => ({ 'a\0': 1 }),
    ...both(refused('$["a\\u0000"]', /NUL/)),
  },
  {
    what: 'a lone surrogate in a string',
    payload: () => ({ name: 'x\ud800y' }),
    ...both(refused('$.name', /surrogate/)),
  },
  {
    what: 'a lone surrogate in a key',
    payload: () => ({ in: { '\udc00': 1 } }),
    ...both(refused('$.in["\\udc00"]', /surrogate/)),
  },
  {
    what: 'a lone surrogate in a Map',
    payload: () => ({ map: new Map([['k', '\udfff']]) }),
    json: refused('$.map', /Map/),
    binary: refused('$.map[0][1]', /surrogate/),
  },
  {
    what: 'text full of escapes',
    payload: () => ({ text: '\\u0000 \\ud800 \u0001 " \n 😀 é', 'a b': '' }),
    ...both('kept'),
  },
  { what: 'NaN', payload: () => ({ a: [1, NaN] }), json: refused('$.a[1]', /NaN/), binary: 'kept' },
  {
    what: '−Infinity',
    payload: () => ({ a: -Infinity }),
    json: refused('$.a', /-Inf/),
    binary: 'kept',
  },
  { what: '2^53', payload: () => ({ a: 2 ** 53 }), json: refused('$.a', /2\^53/), binary: 'kept' },
  { what: '−1e308', payload: () => ({ a: -1e308 }), json: refused('$.a', /2\^53/), binary: 'kept' },
  {
    what: 'numbers at the border',
    payload: () => ({ a: Number.MAX_SAFE_INTEGER, b: Number.MIN_SAFE_INTEGER, c: 5e-324, d: 0.1 }),
    ...both('kept'),
  },
  { what: '−0', payload: () => ({ a: -0 }), ...both({ becomes: { a: 0 } }) },
  {
    what: 'members that JSON drops',
    payload: () => ({ a: 1, b: undefined, c: () => 1, d: Symbol('d'), [Symbol('e')]: 1 }),
    ...both({ becomes: { a: 1 } }),
  },
  {
    what: 'undefined in an array',
    payload: () => ({ a: [1, undefined] }),
    json: refused('$.a[1]', /undefined inside an array/),
    binary: 'kept',
  },
  {
    what: 'a hole in an array',
    payload: () => ({ a: Array(1) }),
    json: refused('$.a[0]', /undefined inside an array/),
    binary: { becomes: { a: [undefined] } },
  },
  {
    what: 'a function in an array',
    payload: () => ({ a: [() => 1] }),
    ...both(refused('$.a[0]', /function inside an array/)),
  },
  {
    what: 'a symbol in an array',
    payload: () => ({ a: [Symbol('s')] }),
    ...both(refused('$.a[0]', /symbol inside an array/)),
  },
  {
    what: 'a declared Date',
    payload: () => ({
      at: new Date(5),
      offer: { sentAt: null },
      lines: [{ at: new Date(-1) }, {}],
    }),
    hints: { dates: ['at', 'offer.sentAt', 'lines[].at', 'missing[]'] },
    ...both('kept'),
  },
  {
    what: 'a Date that is not declared',
    payload: () => ({ at: new Date(0), lines: [{ at: new Date(0) }] }),
    hints: { type: 'sent', dates: ['at'] },
    json: refused('$.lines[0].at', /dates: \['lines\[\]\.at'\]/),
    binary: 'kept',
  },
  {
    what: 'a string where a Date is declared',
    payload: () => ({ at: '2026-01-01' }),
    hints: { dates: ['at'] },
    ...both(refused('$.at', /make it a Date/)),
  },
  {
    what: 'an invalid Date',
    payload: () => ({ at: new Date(NaN) }),
    hints: { dates: ['at'] },
    ...both(refused('$.at', /invalid Date/)),
  },
  {
    what: 'Dates before 1970 and after 2106',
    payload: () => ({
      a: new Date(-62135596800001),
      b: new Date(8.64e15),
      c: new Date(4294967296123),
    }),
    hints: { dates: ['a', 'b', 'c'] },
    ...both('kept'),
  },
  {
    what: 'a Map',
    payload: () => ({ m: new Map([[{}, 1]]) }),
    json: refused('$.m', /Map/),
    binary: 'kept',
  },
  {
    what: 'a Set',
    payload: () => ({ s: new Set(['a']) }),
    json: refused('$.s', /Set/),
    binary: 'kept',
  },
  { what: 'a RegExp', payload: () => ({ r: /x/ }), ...both(refused('$.r', /RegExp/)) },
  {
    what: 'an Error',
    payload: () => ({ e: new RangeError() }),
    ...both(refused('$.e', /RangeError/)),
  },
  {
    what: 'an Error with members',
    payload: () => ({ e: Object.assign(new Error(), { code: 1 }) }),
    ...both(refused('$.e', /Error/)),
  },
  {
    what: 'a Promise',
    payload: () => ({ p: Promise.resolve() }),
    ...both(refused('$.p', /Promise/)),
  },
  {
    what: 'a boxed string',
    payload: () => ({ s: Object('text') }),
    ...both(refused('$.s', /String/)),
  },
  { what: 'a WeakMap', payload: () => ({ w: new WeakMap() }), ...both(refused('$.w', /WeakMap/)) },
  {
    what: 'an instance with private fields only',
    payload: () => ({ s: new Sealed() }),
    ...both(refused('$.s', /Sealed/)),
  },
  {
    what: 'a Buffer',
    payload: () => ({ b: Buffer.from('abc') }),
    json: refused('$.b', /Buffer.*base64/),
    binary: 'kept',
  },
  {
    what: 'typed arrays',
    payload: () => ({
      bytes: [Uint8Array.of(1), Float64Array.of(0.1, NaN), BigInt64Array.of(-1n)],
      part: new Uint16Array(Uint16Array.of(1, 2, 3).buffer, 2, 1),
    }),
    json: refused('$.bytes[0]', /Uint8Array/),
    binary: 'kept',
  },
  {
    what: 'an ArrayBuffer',
    payload: () => ({ b: Uint8Array.of(1, 2).buffer }),
    json: refused('$.b', /ArrayBuffer/),
    binary: 'kept',
  },
  {
    what: 'a DataView',
    payload: () => ({ b: new DataView(new ArrayBuffer(1)) }),
    ...both(refused('$.b', /DataView/)),
  },
  {
    what: 'a BigInt',
    payload: () => ({ in: [{ b: 1n }] }),
    json: refused('$.in[0].b', /BigInt/),
    binary: 'kept',
  },
  {
    what: 'BigInts of every size',
    payload: () => ({
      b: [0n, -1n, 2n ** 63n, -(2n ** 64n), 2n ** 200n, -(3n ** 99n), 10n ** 20000n],
    }),
    json: refused('$.b[0]', /BigInt/),
    binary: 'kept',
  },
  {
    what: 'a circular reference',
    payload: circular,
    ...both(refused('$.order.lines[1].order', /back to \$\.order;/)),
  },
  { what: 'depth 200', payload: () => nested(200), ...both('kept') },
  {
    what: 'depth 201',
    payload: () => nested(201),
    ...both(refused('$.in.in.in.in.in', /maxDepth/)),
  },
  {
    what: 'depth 10,000',
    payload: () => nested(10_000),
    ...both(refused('$.in.in.in.in.in', /200/)),
  },
  {
    what: 'depth 10,000 where 100,000 are allowed',
    payload: () => nested(100_000),
    hints: { maxDepth: 1e6 },
    ...both(refused(expect.stringMatching(/^\$\.in/) as unknown as string, /cannot be read/)),
  },
  {
    what: 'a throwing getter',
    payload: () => ({ a: { b: throwing('c') } }),
    ...both(refused('$.a.b.c', /threw/, boom)),
  },
  {
    what: 'a getter that throws what cannot be read',
    payload: () => ({
      get a() {
        const { proxy, revoke } = Proxy.revocable(new Error(), {});
        revoke();
        throw proxy;
      },
    }),
    ...both(refused('$.a', /threw/)),
  },
  {
    what: 'a throwing toJSON',
    payload: () => ({ a: [throwing('toJSON')] }),
    ...both(refused('$.a[0]', /threw/, boom)),
  },
  {
    what: 'a revoked Proxy',
    payload: () => {
      const { proxy, revoke } = Proxy.revocable({}, {});
      revoke();
      return { a: proxy };
    },
    ...both(refused('$.a', /threw/)),
  },
  {
    what: 'a Proxy that answers',
    payload: () => ({ a: new Proxy({ b: 1 }, {}) }),
    ...both('kept'),
  },
  {
    what: 'toJSON',
    payload: () => ({
      url: new URL('http://a/'),
      gone: { toJSON: () => undefined },
      toJSON: 'text',
    }),
    ...both({ becomes: { url: 'http://a/', toJSON: 'text' } }),
  },
  {
    what: 'toJSON that returns itself',
    payload: () => ({
      a: {
        b: 1,
        toJSON() {
          return this;
        },
      },
    }),
    ...both({ becomes: { a: { b: 1 } } }),
  },
  {
    what: 'toJSON of the payload that returns a list',
    payload: () => ({ toJSON: () => [1] }),
    ...both(refused('$', /must be an object/)),
  },
  {
    what: 'a payload that is an array',
    payload: () => [1],
    ...both(refused('$', /must be an object/)),
  },
  { what: 'an empty payload', payload: () => ({}), ...both('kept') },
  {
    what: 'nested instances',
    payload: () => ({ price: new Money(1, 'EUR'), tagged: new Tagged(2, 'USD') }),
    ...both({
      becomes: { price: { amount: 1, currency: 'EUR' }, tagged: { amount: 2, currency: 'USD' } },
    }),
  },
  {
    what: 'an own key __proto__',
    payload: () => JSON.parse('{"a":{"__proto__":{"polluted":true},"b":1}}') as object,
    json: 'kept',
    binary: refused('$.a.__proto__', /JsonCodec/),
  },
  {
    what: 'own keys constructor, prototype, hasOwnProperty',
    payload: () => ({
      constructor: 'a',
      toJSON: 1,
      in: { prototype: { x: 1 }, hasOwnProperty: 1 },
    }),
    ...both('kept'),
  },
  {
    what: 'a getter that is fine the first time only',
    payload: () => flickering(1, NaN),
    ...both({ becomes: { amount: 1 } }),
  },
];
