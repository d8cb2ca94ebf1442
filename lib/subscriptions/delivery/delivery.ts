import { AsyncLocalStorage } from 'node:async_hooks';

/** One attempt to deliver events to a consumer. */
export interface Delivery {
  /** The name of the consumer. */
  readonly consumer: string;
  /** The build of the consumer: 1, and one more after every rebuild. */
  readonly generation: number;
  /**
   * Whether these events were handled before, by a former generation or before a reset: build state
   * from them, but do not send the letter again.
   */
  readonly replayed: boolean;
  /** The number of the attempt in this process, from 1 up. A crash or a takeover starts again with 1. */
  readonly attempt: number;
  /**
   * The same for every attempt at an event by this consumer, in every process and generation. Appends
   * and executions with this key are stored only once for each aggregate. Undefined in a projection,
   * which receives events in batches.
   */
  readonly idempotencyKey?: string | undefined;
}

// This is no application state: each value lives in one asynchronous flow and ends with it.
const surrounding = new AsyncLocalStorage<Delivery>();

/** Runs `work` as part of one delivery. */
export const runInDelivery = <T>(delivery: Delivery, work: () => T): T =>
  surrounding.run(delivery, work);

/** Runs `work` as part of the delivery of one event. */
export const runForEvent = <T>(delivery: Delivery, eventId: string, work: () => T): T =>
  // An id has a fixed length, so no two pairs of event and consumer make the same key.
  surrounding.run({ ...delivery, idempotencyKey: `${eventId} ${delivery.consumer}` }, work);

/**
 * Returns the delivery that the calling code handles; `undefined` outside of durable consumers.
 *
 * @example
 * if (!currentDelivery()?.replayed) await this.mailer.send(letter);
 */
export const currentDelivery = (): Delivery | undefined => surrounding.getStore();
