import type { AggregateRef } from '../../store/aggregate-ref.ts';
import type { HeldCheckpoint } from '../checkpoint-store.ts';
import type { ParkedEvents } from '../parked-events.ts';

/** Which aggregates a consumer has set aside, as its one runner knows without asking each time. */
export class ParkedAggregates {
  readonly #parkedEvents: ParkedEvents;
  #keys = new Set<string>();

  constructor(parkedEvents: ParkedEvents) {
    this.#parkedEvents = parkedEvents;
  }

  has(aggregate: AggregateRef): boolean {
    return this.#keys.size > 0 && this.#keys.has(keyOf(aggregate));
  }

  /** One of its events was set aside. */
  add(aggregate: AggregateRef): void {
    this.#keys.add(keyOf(aggregate));
  }

  /** None of its events is set aside any more. */
  delete(aggregate: AggregateRef): void {
    this.#keys.delete(keyOf(aggregate));
  }

  /** Asks the database; needed at the start, as all later changes are made by the same runner. */
  async refresh(held: HeldCheckpoint): Promise<void> {
    const parked = await this.#parkedEvents.aggregates(held);
    this.#keys = new Set(parked.map(keyOf));
  }
}

// References have no control characters, so two of them never share a key.
const keyOf = ({ type, id }: AggregateRef): string => `${type}\n${id}`;
