import type { EventMetadata } from './metadata/event-metadata.ts';

/** The data of an event during upcasting: what was stored, before Dates are revived. */
export type UpcastPayload = Record<string, unknown>;

/** One of the events that a stored event is upcast into. */
export interface UpcastEvent {
  readonly type: string;
  readonly revision: number;
  readonly payload: UpcastPayload;
}

/** What an upcaster knows about the event besides its payload. */
export interface UpcastContext {
  readonly position: number;
  readonly aggregate: { readonly type: string; readonly id: string };
  readonly version: number;
  readonly metadata: EventMetadata;
  readonly recordedAt: Date;
}

/**
 * Reads events of an old shape as if they had been written in a newer one; what is stored stays
 * unchanged.
 *
 * `upcast` returns the payload of the same type at the next revision, or a list of events: a single
 * event with another name, or several events. It must be synchronous and depend only on its arguments.
 * Upcasters run on every read, one after another until none matches.
 */
export interface Upcaster {
  readonly type: string;
  /** The revision that this upcaster reads. */
  readonly revision: number;
  upcast(payload: UpcastPayload, context: UpcastContext): object | readonly UpcastEvent[];
}

/**
 * Makes an upcaster from a function.
 *
 * @example
 * upcaster('offer.sent', 1, (offer) => ({ ...offer, currency: 'EUR' }));
 */
export function upcaster(type: string, fromRevision: number, upcast: Upcaster['upcast']): Upcaster {
  return { type, revision: fromRevision, upcast };
}
