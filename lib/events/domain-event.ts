import type { StandardSchemaV1 } from '@standard-schema/spec';

/** A class whose instances are events. */
export type EventClass<E extends object = object> = abstract new (...args: never[]) => E;

/**
 * Which members of an event are Dates: paths such as `submittedAt`, `offer.sentAt` and
 * `lines[].shippedAt`, or `'schema'` if the event's schema turns the stored strings into Dates.
 */
export type DateMembers = readonly string[] | 'schema';

export interface DomainEventOptions {
  /** The revision of the event's shape; raise it with every change and add an upcaster. @default 1 */
  readonly revision?: number;
  /**
   * Any Standard Schema (zod, valibot, arktype …) that an event must satisfy to be appended.
   *
   * The schema receives what a reader would get: plain data, after a round trip through the codec. Its
   * output is not stored. It may return a promise.
   */
  readonly schema?: StandardSchemaV1;
  /**
   * The members that are read back as Dates; JSON alone would give strings.
   *
   * With `'schema'`, every read passes the stored data through the schema, which must answer without a
   * promise, and its output becomes the event's data. @default []
   */
  readonly dates?: DateMembers;
  /** Former names of this event; events stored under them are read as this class. @default [] */
  readonly aliases?: readonly string[];
}

/** What `@DomainEvent` says about a class. */
export interface DomainEventDefinition {
  readonly name: string;
  readonly revision: number;
  readonly schema: StandardSchemaV1 | undefined;
  readonly dates: DateMembers;
  readonly aliases: readonly string[];
  readonly eventClass: EventClass;
  /** Problems of the decorator's arguments, each one sentence with its remedy. */
  readonly problems: readonly string[];
}
