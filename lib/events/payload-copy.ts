import { types } from 'node:util';
import type { DateTree } from './date-paths.ts';
import { EventTooLargeError, InvalidEventError } from './events.errors.ts';
import { formatDatePath, formatPath, type PathStep } from './payload-path.ts';

/** How a payload is copied and what is refused. */
export interface CopyRules {
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
  /** Returns what stands for a buffer or typed array in the copy; `undefined` refuses it. */
  readonly copyBytes: (bytes: ArrayBufferView | ArrayBufferLike) => object | undefined;
}

/**
 * Copies a payload as plain data, or refuses what could not come back equal.
 *
 * Every member is read exactly once, so what was checked is what is stored, whatever a getter
 * answers the next time. `toJSON` is honoured, except on Dates. Members that are undefined,
 * functions or symbols are dropped as in JSON. The text inside strings and keys is not checked.
 *
 * @throws InvalidEventError with the path of what cannot be stored.
 * @throws EventTooLargeError as soon as more than `maxBytes` are certain.
 */
export function copyPayload(payload: object, rules: CopyRules): object {
  return new PayloadCopy(rules).of(payload);
}

class PayloadCopy {
  readonly #rules: CopyRules;
  /** The way to the value at hand: the first `#depth` steps. What stands behind them is stale. */
  readonly #steps: PathStep[] = [];
  readonly #ancestors: object[] = [];
  #depth = 0;
  #bytes = 0;

  constructor(rules: CopyRules) {
    this.#rules = rules;
  }

  of(payload: object): object {
    try {
      const copy = this.#copy(payload, this.#rules.dates, true);
      return isPlainObject(copy) ? copy : this.#refuse('must be an object with members');
    } catch (error) {
      if (error instanceof InvalidEventError || error instanceof EventTooLargeError) throw error;
      return this.#refuse('cannot be read: a getter, a toJSON or a Proxy threw', error);
    }
  }

  /** Returns `undefined` for what JSON drops. */
  #copy(value: unknown, dates: DateTree | undefined, honoursToJson: boolean): unknown {
    switch (typeof value) {
      case 'string':
        if (dates?.isDate) this.#refuse('is declared in `dates` but is a string; make it a Date');
        this.#bytes += value.length;
        return value;
      case 'number':
        return this.#copyNumber(value);
      case 'boolean':
        return value;
      case 'object':
        return value === null ? null : this.#copyObject(value, dates, honoursToJson);
      case 'bigint':
        if (!this.#rules.keepsMoreThanJson) this.#refuse(`is a BigInt; ${orBinary('a string')}`);
        return value;
      default:
        return undefined;
    }
  }

  #copyNumber(value: number): number {
    if (Math.abs(value) <= Number.MAX_SAFE_INTEGER || this.#rules.keepsMoreThanJson) return value;
    return Number.isFinite(value)
      ? this.#refuse(`is a number beyond ±(2^53 − 1), which is not exact; ${orBinary('a string')}`)
      : this.#refuse(`is ${value}, which JSON cannot hold; ${orBinary('null')}`);
  }

  #copyObject(value: object, dates: DateTree | undefined, honoursToJson: boolean): unknown {
    const depth = this.#depth;
    if (depth >= this.#rules.maxDepth) this.#refuseDepth(value);
    this.#ancestors[depth] = value;
    if (this.#bytes > this.#rules.maxBytes) this.#refuseSize();

    const isArray = Array.isArray(value);
    const isPlain = isArray || isPlainPrototype(Object.getPrototypeOf(value));
    if (!isPlain && types.isDate(value)) return this.#copyDate(value, dates);
    if (!isPlain && (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value))) {
      return this.#copyBytes(value);
    }
    const toJson = honoursToJson && (value as { toJSON?: unknown }).toJSON;
    if (typeof toJson === 'function') {
      const key = depth === 0 ? '' : String(this.#steps[depth - 1]);
      return this.#copy(toJson.call(value, key), dates, false);
    }
    if (isArray) return this.#copyItems(value, dates);
    if (isPlain) return this.#copyMembers(value, dates);
    return this.#copyInstance(value, dates);
  }

  #copyItems(items: readonly unknown[], dates: DateTree | undefined): unknown[] {
    const depth = this.#depth;
    const itemDates = dates?.members.get('');
    const { length } = items;
    this.#bytes += length;
    if (this.#bytes > this.#rules.maxBytes) this.#refuseSize();
    const copies: unknown[] = [];
    for (let index = 0; index < length; index++) {
      this.#steps[depth] = index;
      this.#depth = depth + 1;
      const item = items[index];
      const copy = this.#copy(item, itemDates, true);
      if (copy === undefined) this.#checkDroppedItem(item);
      copies.push(copy);
    }
    this.#depth = depth;
    return copies;
  }

  #copyMembers(value: object, dates: DateTree | undefined): object {
    const depth = this.#depth;
    const copies: Record<string, unknown> = {};
    for (const key of Object.keys(value)) {
      this.#steps[depth] = key;
      this.#depth = depth + 1;
      this.#bytes += key.length + 1;
      const member = (value as Record<string, unknown>)[key];
      const copy = this.#copy(member, dates?.members.get(key), true);
      if (copy === undefined) continue;
      if (key === '__proto__') this.#copyProtoMember(copies, copy);
      else copies[key] = copy;
    }
    this.#depth = depth;
    return copies;
  }

  #copyProtoMember(copies: object, copy: unknown): void {
    // MessagePack readers rename this key, because assigning it would change the prototype.
    if (this.#rules.keepsMoreThanJson) this.#refuse('is a key that only JsonCodec keeps');
    const descriptor = { value: copy, enumerable: true, configurable: true, writable: true };
    Object.defineProperty(copies, '__proto__', descriptor);
  }

  #copyInstance(value: object, dates: DateTree | undefined): unknown {
    if (this.#rules.keepsMoreThanJson && types.isMap(value)) {
      return new Map(this.#copyItems([...value], undefined) as [unknown, unknown][]);
    }
    if (this.#rules.keepsMoreThanJson && types.isSet(value)) {
      return new Set(this.#copyItems([...value], undefined));
    }
    // Private fields, weak references, streams: nothing of them would be stored.
    const isOpaque = this.#depth > 0 && Object.keys(value).length === 0;
    if (isOpaque || isBuiltIn(value)) this.#refuseInstance(value, 'plain data');
    return this.#copyMembers(value, dates);
  }

  #copyDate(date: Date, dates: DateTree | undefined): unknown {
    const time = Date.prototype.getTime.call(date);
    if (Number.isNaN(time)) this.#refuse('is an invalid Date');
    if (!this.#rules.acceptsEveryDate && !dates?.isDate) this.#refuseUndeclaredDate();
    const copy = new Date(time);
    return this.#rules.keepsMoreThanJson ? copy : copy.toISOString();
  }

  #copyBytes(bytes: ArrayBufferView | ArrayBufferLike): object {
    this.#bytes += bytes.byteLength;
    if (this.#bytes > this.#rules.maxBytes) this.#refuseSize();
    return this.#rules.copyBytes(bytes) ?? this.#refuseInstance(bytes, 'a base64 string');
  }

  #checkDroppedItem(item: unknown): void {
    if (item === undefined && this.#rules.keepsMoreThanJson) return;
    const what =
      typeof item === 'object' ? 'has a toJSON that returns nothing' : `is ${typeof item}`;
    this.#refuse(
      `${what} inside an array, where JSON would make it null; use null or leave it out`,
    );
  }

  #refuseUndeclaredDate(): never {
    const { type } = this.#rules;
    if (type === undefined || this.#rules.root !== '$') {
      this.#refuse('is a Date, which would come back as a string; use its toISOString()');
    }
    const path = formatDatePath(this.#steps.slice(0, this.#depth));
    return this.#refuse(
      'is a Date that is not declared, so it would come back as a string; add it to ' +
        `@DomainEvent(…, { dates: ['${path}'] })`,
    );
  }

  #refuseInstance(value: object, instead: string): never {
    const className: unknown = Object.getPrototypeOf(value)?.constructor?.name;
    return this.#refuse(
      `is an instance of ${String(className ?? 'a class')} and would be stored empty or changed; ` +
        orBinary(instead),
    );
  }

  #refuseDepth(value: object): never {
    const chain = [...this.#ancestors.slice(0, this.#depth), value];
    const again = chain.findIndex((ancestor, index) => chain.indexOf(ancestor) < index);
    if (again > 0) {
      const first = formatPath(
        this.#steps.slice(0, chain.indexOf(chain[again]!)),
        this.#rules.root,
      );
      this.#depth = again;
      this.#refuse(`refers back to ${first}; store a reference by id instead of the object`);
    }
    this.#depth = Math.min(this.#depth, 5);
    return this.#refuse(
      `leads deeper than maxDepth (${this.#rules.maxDepth}); flatten it, or raise maxDepth`,
    );
  }

  #refuseSize(): never {
    throw new EventTooLargeError(this.#rules.type ?? '', this.#bytes, this.#rules.maxBytes);
  }

  #refuse(reason: string, cause?: unknown): never {
    const path = formatPath(this.#steps.slice(0, this.#depth), this.#rules.root);
    throw new InvalidEventError(
      this.#rules.type,
      path,
      reason,
      cause === undefined ? undefined : { cause },
    );
  }
}

const orBinary = (instead: string): string => `use ${instead}, or configure BinaryCodec`;

/** Object.prototype of any realm, or none at all. */
function isPlainPrototype(prototype: object | null): boolean {
  return (
    prototype === Object.prototype ||
    prototype === null ||
    Object.getPrototypeOf(prototype) === null
  );
}

/** Says whether the instance keeps its content where JSON does not look. */
function isBuiltIn(value: object): boolean {
  // The tag is cheap and right for all but classes that define one of their own.
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

function isPlainObject(value: unknown): value is object {
  return (
    typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  );
}
