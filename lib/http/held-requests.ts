import { BadRequestException, ServiceUnavailableException } from '@nestjs/common';
import type { EventStore } from '../store/event-store.ts';
import type { Consumers } from '../subscriptions/control/consumers.ts';
import { SharedQuestion } from '../subscriptions/control/shared-question.ts';
import { WaitTimeoutError } from '../subscriptions/subscriptions.errors.ts';
import { withTimeout } from '../input/with-timeout.ts';

/** The most requests to hold: each keeps its connection, and the resources of the server for it. */
const maxHeld = 1_000;

// This is no application state: it counts, for as long as a store exists, the requests that wait for
// it.
const ofStore = new WeakMap<EventStore, HeldRequests>();

/** The requests that wait for consumers of one store, over all its routes. */
export class HeldRequests {
  readonly #consumers: Consumers;
  /** The last position that any transaction has drawn. */
  readonly #lastPosition: SharedQuestion<number>;
  #held = 0;
  /** How to refuse each request that waits for anything. */
  readonly #refusals = new Set<(error: Error) => void>();
  #isEnding = false;

  static of(store: EventStore, consumers: Consumers): HeldRequests {
    const known = ofStore.get(store) ?? new HeldRequests(store, consumers);
    ofStore.set(store, known);
    return known;
  }

  private constructor(store: EventStore, consumers: Consumers) {
    this.#consumers = consumers;
    this.#lastPosition = new SharedQuestion(async () => (await store.horizon()).lastPosition);
  }

  /**
   * Resolves once these consumers have reached a position that a client has sent.
   *
   * A request is held only for a position that the log has given out, even if the transaction that drew
   * it is still open: no client can know any other position.
   *
   * @throws BadRequestException if the log has never given out the position.
   * @throws ServiceUnavailableException if the consumers do not reach it in time, if too many requests
   * are already held, or if the application shuts down.
   */
  async waitBefore(names: readonly string[], position: number, seconds: number): Promise<void> {
    const deadline = performance.now() + seconds * 1_000;
    try {
      if (await this.#hasReached(names, position)) return;
      const timeoutError = (): Error => new WaitTimeoutError(names[0]!, position, undefined, 0, '');
      const patienceMs = Math.max(deadline - performance.now(), leastPatienceMs);
      const last = withTimeout(patienceMs, this.#lastPosition.ask(), timeoutError);
      if (position > (await this.#untilEnd(last))) {
        throw new BadRequestException(
          `The header Event-Position is ahead of the log: no response has given out ${position}. ` +
            'Leave the header out, or use the position of the last response.',
        );
      }
      await this.wait(names, position, Math.max(0, deadline - performance.now()));
    } catch (error) {
      if (!(error instanceof WaitTimeoutError)) throw error;
      // The error's own message is left out: it may say why the consumer is down, which is not for
      // clients.
      throw new ServiceUnavailableException(
        `The consumer '${error.consumer}' did not reach position ${position} within ${seconds} s. ` +
          'Try again later.',
        { cause: error },
      );
    }
  }

  /**
   * Resolves once these consumers have reached a position.
   *
   * @throws WaitTimeoutError if they do not reach it in time.
   * @throws ServiceUnavailableException if too many requests are already held, or if the application
   * shuts down.
   */
  async wait(names: readonly string[], position: number, timeoutMs: number): Promise<void> {
    if (this.#held >= maxHeld) {
      throw new ServiceUnavailableException(
        `${maxHeld} requests wait already for what was written. Try again later.`,
      );
    }
    this.#held += 1;
    try {
      await this.#untilEnd(this.#waitFor(names, position, Math.ceil(timeoutMs)));
    } finally {
      this.#held -= 1;
    }
  }

  /** Refuses all requests that wait, and those to come: the server waits for them before it closes. */
  end(): void {
    this.#isEnding = true;
    for (const refuse of this.#refusals) refuse(shuttingDown());
  }

  /** Settles as the work does, or is refused once the application shuts down. */
  async #untilEnd<T>(work: Promise<T>): Promise<T> {
    let refuse!: (error: Error) => void;
    const refused = new Promise<never>((_, reject) => (refuse = reject));
    if (this.#isEnding) refuse(shuttingDown());
    this.#refusals.add(refuse);
    try {
      return await Promise.race([refused, work]);
    } finally {
      this.#refusals.delete(refuse);
    }
  }

  async #hasReached(names: readonly string[], position: number): Promise<boolean> {
    try {
      await this.#waitFor(names, position, 0);
      return true;
    } catch (error) {
      if (error instanceof WaitTimeoutError) return false;
      throw error;
    }
  }

  async #waitFor(names: readonly string[], position: number, timeoutMs: number): Promise<void> {
    await Promise.all(names.map((name) => this.#consumers.waitFor(name, position, { timeoutMs })));
  }
}

const shuttingDown = (): Error =>
  new ServiceUnavailableException('The application is shutting down. Try again.');

/** The least time for the database to answer where the log ends, in milliseconds. */
const leastPatienceMs = 100;
