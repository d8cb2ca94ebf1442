import type { EventMetadata } from './metadata/metadata-members.ts';

/** A recorded event: what was written, its position, and the event as an instance of its class. */
export interface EventRecord<E extends object = object> {
  /**
   * The UUID of this record, unique in the log and the same at every read. It is the id of the stored
   * event, or, for the second and later events that the stored event was upcast into, a UUID of version
   * 5 derived from that id.
   */
  readonly id: string;
  /** The place in the whole log: strictly increasing, with gaps. */
  readonly position: number;
  readonly aggregate: { readonly type: string; readonly id: string };
  /** The place inside the aggregate: 1, 2, 3 … without a gap. */
  readonly version: number;
  /** The place among the events that one stored event was upcast into; 0 for all other events. */
  readonly part: number;
  /** The event's name and revision after upcasting: those of its class. */
  readonly type: string;
  readonly revision: number;
  readonly event: E;
  readonly metadata: EventMetadata;
  /** When the append was written, by the clock of the database. */
  readonly recordedAt: Date;
}

/** Returns the given object from its constructor, so that a subclass adds its fields to that object. */
class Adopted {
  constructor(instance: object) {
    return instance;
  }
}

/**
 * Keeps the record of an event in a private field of the event itself, where no other code sees it and
 * no copy takes it along. A WeakMap would do the same, but with it the garbage collector needed more
 * time than reading and decoding the events.
 */
class Remembered extends Adopted {
  #record: EventRecord | undefined;

  static of(event: object): EventRecord | undefined {
    return #record in event ? event.#record : recordsOfSealed.get(event);
  }

  static remember(event: object, record: EventRecord): void {
    if (#record in event) event.#record = record;
    else if (Object.isExtensible(event)) new Remembered(event).#record = record;
    else recordsOfSealed.set(event, record);
  }

  static forget(event: object): void {
    if (#record in event) event.#record = undefined;
    else recordsOfSealed.delete(event);
  }
}

// Frozen events take no private field, and an application may freeze the events that it appends.
const recordsOfSealed = new WeakMap<object, EventRecord>();

/** Remembers the record of an event instance for `recordOf`. */
export function rememberRecord(record: EventRecord): void {
  Remembered.remember(record.event, record);
}

/** Forgets the record of an event instance whose append was rolled back. */
export function forgetRecord(event: object): void {
  Remembered.forget(event);
}

/**
 * Returns the record of an event that came out of the store: appended, read, or handed to a handler.
 *
 * Pass the same instance, not a copy. Returns `undefined` for an event that is not stored.
 */
export function recordOf<E extends object>(event: E): EventRecord<E> | undefined {
  return Remembered.of(event) as EventRecord<E> | undefined;
}
