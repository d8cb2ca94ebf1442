import type { AggregateRef } from '../../store/aggregate-ref.ts';
import type { HeldCheckpoint } from '../checkpoint-store.ts';
import type { ParkedEvents } from '../parked-events.ts';

/** Knows which aggregates a consumer has parked, so that its runner need not ask each time. */
export class ParkedAggregates {
  readonly #parkedEvents: ParkedEvents;
  #keys = new Set<string>();

  constructor(parkedEvents: ParkedEvents) {
    this.#parkedEvents = parkedEvents;
  }

  has(aggregate: AggregateRef): boolean {
    return this.#keys.size > 0 && this.#keys.has(keyOf(aggregate));
  }

  /** Records that one of the aggregate's events was parked. */
  add(aggregate: AggregateRef): void {
    this.#keys.add(keyOf(aggregate));
  }

  /** Records that none of the aggregate's events is parked any more. */
  delete(aggregate: AggregateRef): void {
    this.#keys.delete(keyOf(aggregate));
  }

  /**
   * Reads them from the database; needed only at the start, because only this runner changes them
   * later.
   */
  async refresh(held: HeldCheckpoint): Promise<void> {
    const parked = await this.#parkedEvents.aggregates(held);
    this.#keys = new Set(parked.map(keyOf));
  }
}

// References have no control characters, so two of them never share a key.
const keyOf = ({ type, id }: AggregateRef): string => `${type}\n${id}`;
