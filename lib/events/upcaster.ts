import type { EventMetadata } from './metadata/event-metadata.ts';

/** The data of an event that is being upcast: what was stored, before Dates are revived. */
export type UpcastPayload = Record<string, unknown>;

/** One of the events that an old event is read as. */
export interface UpcastEvent {
  readonly type: string;
  readonly revision: number;
  readonly payload: UpcastPayload;
}

/** What else is known about the event that is being upcast. */
export interface UpcastContext {
  readonly position: number;
  readonly aggregate: { readonly type: string; readonly id: string };
  readonly version: number;
  readonly metadata: EventMetadata;
  readonly recordedAt: Date;
}

/**
 * Reads events of an old shape as if they had been written in a newer one; nothing stored changes.
 *
 * `upcast` returns the payload of the same type at the next revision, or a list of events: one
 * with another name, or several. It must be synchronous and depend on its arguments only. It is
 * applied on every read, again and again until no upcaster matches.
 */
export interface Upcaster {
  readonly type: string;
  /** The revision that it reads. */
  readonly revision: number;
  upcast(payload: UpcastPayload, context: UpcastContext): object | readonly UpcastEvent[];
}

/**
 * Makes an upcaster of a function.
 *
 * @example
 * upcaster('offer.sent', 1, (offer) => ({ ...offer, currency: 'EUR' }));
 */
export function upcaster(type: string, fromRevision: number, upcast: Upcaster['upcast']): Upcaster {
  return { type, revision: fromRevision, upcast };
}
