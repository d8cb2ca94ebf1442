import { types } from 'node:util';

// The kinds that msgpackr can represent; it would silently write any other kind as something else.
const typedArrayKinds = new Set([
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
]);

/** Returns what msgpackr packs as these bytes and their kind; `undefined` if it cannot. */
export function toPackableBytes(bytes: ArrayBufferView | ArrayBufferLike): object | undefined {
  if (Buffer.isBuffer(bytes)) return bytes;
  if (types.isArrayBuffer(bytes)) return new Uint8Array(bytes).slice().buffer;
  const kind = types.isTypedArray(bytes) ? bytes[Symbol.toStringTag] : '';
  if (!typedArrayKinds.has(kind)) return undefined;
  const { buffer, byteOffset, byteLength } = bytes as ArrayBufferView;
  const view = new Uint8Array(buffer, byteOffset, byteLength);
  // msgpackr recognizes typed arrays by instanceof, which fails for those of another realm (a vm
  // context, jest), and reads their kind from the name of their constructor.
  return Object.defineProperty(view, 'constructor', { value: { name: kind } });
}

/** A replacer for JSON.stringify that makes values readable for people; nothing reads the text back. */
export function showAsJson(this: unknown, key: string, shown: unknown): unknown {
  // JSON.stringify has already called the toJSON of a Buffer here.
  const value = (this as Record<string, unknown>)[key];
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  if (value instanceof Map || value instanceof Set) return [...value];
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (value instanceof ArrayBuffer) return Buffer.from(value).toString('base64');
  return shown;
}
