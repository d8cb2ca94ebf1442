import { AsyncLocalStorage } from 'node:async_hooks';

/** One attempt to hand events to a consumer. */
export interface Delivery {
  /** The name of the consumer. */
  readonly consumer: string;
  /** Which build of the consumer this is: 1, and one more with every rebuild. */
  readonly generation: number;
  /**
   * True if these events were handled before, by a former generation or before a reset: build
   * state from them, but do not send the letter again.
   */
  readonly replayed: boolean;
  /** 1 for the first attempt in this process. A crash or a takeover starts again with 1. */
  readonly attempt: number;
  /**
   * The same for every attempt at an event by this consumer, in every process and generation: what is
   * appended or executed with it is stored once for each aggregate. Undefined in a projection, which
   * gets events in batches.
   */
  readonly idempotencyKey?: string | undefined;
}

// Holds no application state: each value lives in one asynchronous flow and ends with it.
const surrounding = new AsyncLocalStorage<Delivery>();

/** Runs `work` as what one delivery sets in motion. */
export const runInDelivery = <T>(delivery: Delivery, work: () => T): T =>
  surrounding.run(delivery, work);

/** Runs `work` as what one event of a delivery sets in motion. */
export const runForEvent = <T>(delivery: Delivery, eventId: string, work: () => T): T =>
  // An id is of fixed length, so no two consumers and events make the same key.
  surrounding.run({ ...delivery, idempotencyKey: `${eventId} ${delivery.consumer}` }, work);

/**
 * Returns the delivery that the calling code handles; `undefined` outside of durable consumers.
 *
 * @example
 * if (!currentDelivery()?.replayed) await this.mailer.send(letter);
 */
export const currentDelivery = (): Delivery | undefined => surrounding.getStore();
