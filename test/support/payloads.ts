import fc from 'fast-check';

/** Text of arbitrary UTF-16 units, so with NUL and lone surrogates now and then. */
export const anyText = fc.oneof(
  { weight: 20, arbitrary: fc.string({ unit: 'binary' }) },
  {
    weight: 1,
    arbitrary: fc.string({ unit: fc.constantFrom('a', '\\u', '\0', '\ud83d', '\ude00') }),
  },
);
const keys = fc.oneof(anyText, fc.constantFrom('__proto__', 'constructor', 'toJSON', '0', ''));
/** Payloads like those of JSON, with texts, keys and numbers that must be refused now and then. */
export const { payload: jsonLike } = fc.letrec<{ payload: object; value: unknown }>((tie) => ({
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
/** Payloads with everything that JavaScript has. */
export const anything = fc.object({
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
export function expected(value: unknown): unknown {
  if (value === 0) return 0;
  if (Array.isArray(value)) return Array.from(value, expected);
  if (value instanceof Map) return new Map([...value].map(([k, v]) => [expected(k), expected(v)]));
  if (value instanceof Set) return new Set([...value].map(expected));
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Date || ArrayBuffer.isView(value)) return value;
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(members.map(([key, member]) => [key, expected(member)]));
}

/** Decides, from the rules alone, whether JsonCodec must accept this JSON-like value. */
export function isStorable(value: unknown): boolean {
  if (typeof value === 'string') return isStorableText(value);
  if (typeof value === 'number') return Math.abs(value) <= Number.MAX_SAFE_INTEGER;
  if (typeof value !== 'object' || value === null) return true;
  return Object.entries(value).every(([key, member]) => isStorableText(key) && isStorable(member));
}
const isStorableText = (text: string): boolean => !text.includes('\0') && !/\p{Cs}/u.test(text);

/** Ids of aggregates, and names of their types, about as long as they may be, or of any text. */
export const anyName = fc.oneof(
  anyText,
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
  fc.constantFrom(
    '',
    ' ',
    '\u00a0',
    '\ufeff',
    '__proto__',
    'a\u0085b',
    ' a',
    'a\u3000',
    'a\u202eb',
    'a\u2028b',
    'a\u200bb',
    'a\u200db',
    '👩‍👩‍👧',
    'می‌خواهم',
    '\u007f',
    "'; --",
    '\\',
    '{}',
  ),
  fc
    .tuple(fc.constantFrom('x', 'ü', '€', '💶'), fc.integer({ min: 60, max: 520 }))
    .map(([unit, count]) => unit.repeat(count)),
);
/** Decides, from the rules alone, whether an aggregate may have this id, or a type of this name. */
export const isStorableName = (name: string, maxBytes: number): boolean =>
  name !== '' &&
  name === name.trim() &&
  Buffer.byteLength(name) <= maxBytes &&
  isStorableText(name) &&
  !/[\p{Cc}\p{Zl}\p{Zp}\u{e0000}-\u{e007f}]/u.test(name) &&
  // Not the joiners, and not the Arabic and Egyptian signs that can be seen.
  !/[\u{34f}\xad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f]/u.test(
    name,
  ) &&
  !/[\u3164\ufeff\uffa0\ufff9-\ufffb]/u.test(name) &&
  !/(^|[\0-\x7f\u200c\u200d])[\u200c\u200d]|[\u200c\u200d]([\0-\x7f]|$)/u.test(name);

/** Ids of events: UUIDs of any version in any case, and what is none. */
export const anyEventId = fc.oneof(
  { weight: 3, arbitrary: fc.uuid() },
  fc.uuid().map((id) => id.toUpperCase()),
  fc.uuid().map((id) => id.replaceAll('-', '')),
  fc.uuid().map((id) => `{${id}}`),
  fc.uuid().map((id) => `${id}\n`),
  anyText,
);
