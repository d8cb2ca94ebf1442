import type { StandardSchemaV1 } from '@standard-schema/spec';

/** A class whose instances are events. */
export type EventClass<E extends object = object> = abstract new (...args: never[]) => E;

/**
 * Which members of an event are Dates: paths such as `submittedAt`, `offer.sentAt` and
 * `lines[].shippedAt`, or `'schema'` if the event's schema turns the stored strings into Dates.
 */
export type DateMembers = readonly string[] | 'schema';

export interface DomainEventOptions {
  /** Which shape the event has; raise it with every change and add an upcaster. @default 1 */
  readonly revision?: number;
  /**
   * Any Standard Schema (zod, valibot, arktype …) that an event must satisfy to be appended.
   *
   * It is given what a reader would get: plain data, after a round trip through the codec. Its
   * output is not stored. It may answer with a promise.
   */
  readonly schema?: StandardSchemaV1;
  /**
   * Members that come back as Dates; JSON alone would give strings.
   *
   * With `'schema'`, what is read goes through the schema, which must answer at once, and its
   * output is the event's data. @default []
   */
  readonly dates?: DateMembers;
  /** Former names under which this event is stored; they are read as this one. @default [] */
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
  /** What is wrong with the decorator's arguments, each problem one sentence and its remedy. */
  readonly problems: readonly string[];
}
