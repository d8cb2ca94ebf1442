import { types } from 'node:util';
import type { DateTree } from './date-paths.ts';
import { EventTooLargeError, InvalidEventError } from '../events.errors.ts';
import { PayloadCursor } from './payload-cursor.ts';
import { errorOf } from '../../input/thrown-error.ts';

/** How a payload is copied and what is refused. */
export interface CopyRules {
  /** The event's name, for errors; `undefined` for the state of a snapshot. */
  readonly type: string | undefined;
  /** What paths in errors begin with: `$`, or `metadata`. */
  readonly root: string;
  readonly maxDepth: number;
  readonly maxBytes: number;
  /** The declared Dates. */
  readonly dates: DateTree | undefined;
  /** Accepts Dates that are not declared, too. */
  readonly acceptsEveryDate: boolean;
  /** Keeps Date, Map, Set, BigInt, every number, and undefined in arrays as they are. */
  readonly keepsMoreThanJson: boolean;
  /** Returns what replaces a buffer or typed array in the copy; `undefined` refuses it. */
  readonly copyBytes: (bytes: ArrayBufferView | ArrayBufferLike) => object | undefined;
}

/**
 * Copies a payload as plain data, or refuses a value that could not be read back equal.
 *
 * Every member is read exactly once, so that the checked value is the stored value, even if a getter
 * returns another one the next time. `toJSON` is honoured, except on Dates. Members that are undefined,
 * functions or symbols are dropped, as in JSON. The text of strings and keys is not checked.
 *
 * @throws InvalidEventError with the path of what cannot be stored.
 * @throws EventTooLargeError as soon as the payload is certain to exceed `maxBytes`.
 */
export function copyPayload(payload: object, rules: CopyRules): object {
  return new PayloadCopier(rules).copyRoot(payload);
}

class PayloadCopier {
  readonly #rules: CopyRules;
  readonly #cursor: PayloadCursor;
  /** A lower bound of the length of the JSON text. */
  #bytes = 0;

  constructor(rules: CopyRules) {
    this.#rules = rules;
    this.#cursor = new PayloadCursor(rules.type, rules.root);
  }

  copyRoot(payload: object): object {
    try {
      const copy = this.#copy(payload, this.#rules.dates, true);
      return isPlainObject(copy) ? copy : this.#cursor.refuse('must be an object with members');
    } catch (thrown) {
      const error = errorOf(thrown);
      if (error instanceof InvalidEventError || error instanceof EventTooLargeError) throw error;
      return this.#cursor.refuse('cannot be read: a getter, a toJSON or a Proxy threw', thrown);
    }
  }

  /** Returns `undefined` for what JSON drops. */
  #copy(value: unknown, dates: DateTree | undefined, honoursToJson: boolean): unknown {
    switch (typeof value) {
      case 'string':
        if (dates?.isDate)
          this.#cursor.refuse('is declared in `dates` but is text; make it a Date');
        this.#bytes += value.length;
        return value;
      case 'number':
        return this.#copyNumber(value);
      case 'bigint':
        if (this.#rules.keepsMoreThanJson) return value;
        return this.#cursor.refuse(`is a BigInt; ${orBinary('a string')}`);
      case 'object':
        return value === null ? null : this.#copyObject(value, dates, honoursToJson);
      default:
        return typeof value === 'boolean' ? value : undefined;
    }
  }

  #copyNumber(value: number): number {
    if (Math.abs(value) <= Number.MAX_SAFE_INTEGER || this.#rules.keepsMoreThanJson) return value;
    return Number.isFinite(value)
      ? this.#cursor.refuse(
          `is a number beyond ±(2^53 − 1), which is not exact; ${orBinary('text')}`,
        )
      : this.#cursor.refuse(`is ${value}, which JSON cannot hold; ${orBinary('null')}`);
  }

  #copyObject(value: object, dates: DateTree | undefined, honoursToJson: boolean): unknown {
    this.#cursor.mark(value);
    if (this.#cursor.depth >= this.#rules.maxDepth) this.#cursor.refuseDepth(this.#rules.maxDepth);
    this.#checkBytes();

    const isArray = Array.isArray(value);
    const isPlain = isArray || isPlainPrototype(Object.getPrototypeOf(value));
    if (!isPlain && types.isDate(value)) return this.#copyDate(value, dates);
    if (!isPlain && (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value))) {
      return this.#copyBytes(value);
    }
    const toJson = honoursToJson && (value as { toJSON?: unknown }).toJSON;
    if (typeof toJson === 'function') {
      return this.#copy(toJson.call(value, this.#cursor.key), dates, false);
    }
    if (isArray) return this.#copyItems(value, dates);
    if (isPlain) return this.#copyMembers(value, dates);
    return this.#copyInstance(value, dates);
  }

  #copyItems(items: readonly unknown[], dates: DateTree | undefined): unknown[] {
    const { depth } = this.#cursor;
    const itemDates = dates?.members.get('');
    const { length } = items;
    this.#bytes += length;
    this.#checkBytes();
    const copies: unknown[] = [];
    for (let index = 0; index < length; index++) {
      this.#cursor.enter(depth, index);
      const item = items[index];
      const copy = this.#copy(item, itemDates, true);
      if (copy === undefined) this.#checkDroppedItem(item);
      copies.push(copy);
    }
    this.#cursor.depth = depth;
    return copies;
  }

  #copyMembers(value: object, dates: DateTree | undefined): object {
    const { depth } = this.#cursor;
    const copies: Record<string, unknown> = {};
    for (const key of Object.keys(value)) {
      this.#cursor.enter(depth, key);
      this.#bytes += key.length + 1;
      const member = (value as Record<string, unknown>)[key];
      const copy = this.#copy(member, dates?.members.get(key), true);
      if (copy === undefined) continue;
      if (key === '__proto__') this.#defineProto(copies, copy);
      else copies[key] = copy;
    }
    this.#cursor.depth = depth;
    return copies;
  }

  #defineProto(copies: object, copy: unknown): void {
    // Readers of MessagePack rename this key, because an assignment to it would change the prototype.
    if (this.#rules.keepsMoreThanJson) this.#cursor.refuse('is a key that only JsonCodec keeps');
    const descriptor = { value: copy, enumerable: true, configurable: true, writable: true };
    Object.defineProperty(copies, '__proto__', descriptor);
  }

  #copyInstance(value: object, dates: DateTree | undefined): object {
    if (this.#rules.keepsMoreThanJson && types.isMap(value)) {
      return new Map(this.#copyItems([...value], undefined) as [unknown, unknown][]);
    }
    if (this.#rules.keepsMoreThanJson && types.isSet(value)) {
      return new Set(this.#copyItems([...value], undefined));
    }
    // Its content is in private fields, weak references or streams: none of it would be stored.
    const isOpaque = this.#cursor.depth > 0 && Object.keys(value).length === 0;
    if (isOpaque || isBuiltIn(value)) this.#refuseInstance(value, 'plain data');
    return this.#copyMembers(value, dates);
  }

  #copyDate(date: Date, dates: DateTree | undefined): Date | string {
    const time = Date.prototype.getTime.call(date);
    if (Number.isNaN(time)) this.#cursor.refuse('is an invalid Date');
    if (!this.#rules.acceptsEveryDate && !dates?.isDate) this.#cursor.refuseUndeclaredDate();
    const copy = new Date(time);
    return this.#rules.keepsMoreThanJson ? copy : copy.toISOString();
  }

  #copyBytes(bytes: ArrayBufferView | ArrayBufferLike): object {
    this.#bytes += bytes.byteLength;
    this.#checkBytes();
    return this.#rules.copyBytes(bytes) ?? this.#refuseInstance(bytes, 'a base64 string');
  }

  #checkDroppedItem(item: unknown): void {
    if (item === undefined && this.#rules.keepsMoreThanJson) return;
    const what = typeof item === 'object' ? 'an object whose toJSON returns nothing' : typeof item;
    this.#cursor.refuse(`is ${what} inside an array, where JSON would make it null; leave it out`);
  }

  #checkBytes(): void {
    if (this.#bytes <= this.#rules.maxBytes) return;
    throw new EventTooLargeError(this.#rules.type, this.#bytes, this.#rules.maxBytes);
  }

  #refuseInstance(value: object, instead: string): never {
    const prototype = Object.getPrototypeOf(value) as { constructor?: { name?: string } } | null;
    return this.#cursor.refuse(
      `is an instance of ${prototype?.constructor?.name ?? 'a class'} and would be stored empty or ` +
        `changed; ${orBinary(instead)}`,
    );
  }
}

const orBinary = (instead: string): string => `use ${instead}, or configure BinaryCodec`;

const isPlainObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;

/** Returns whether it is the Object.prototype of any realm, or null. */
const isPlainPrototype = (prototype: object | null): boolean =>
  prototype === Object.prototype || prototype === null || Object.getPrototypeOf(prototype) === null;

/** Returns whether the instance keeps its content where JSON does not look. */
function isBuiltIn(value: object): boolean {
  // The tag is cheap to read, and correct except for classes that define their own.
  if (Object.prototype.toString.call(value) === '[object Object]') return false;
  return (
    types.isNativeError(value) ||
    types.isMap(value) ||
    types.isSet(value) ||
    types.isRegExp(value) ||
    types.isPromise(value) ||
    types.isBoxedPrimitive(value)
  );
}
