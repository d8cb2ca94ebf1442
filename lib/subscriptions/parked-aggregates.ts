import type { AggregateRef } from '../store/aggregate-ref.ts';
import type { CheckpointStore, HeldCheckpoint } from './checkpoint-store.ts';

/** Which aggregates a consumer has set aside, as its one runner knows without asking each time. */
export class ParkedAggregates {
  readonly #checkpoints: CheckpointStore;
  #keys: ReadonlySet<string> = new Set();

  constructor(checkpoints: CheckpointStore) {
    this.#checkpoints = checkpoints;
  }

  has(aggregate: AggregateRef): boolean {
    return this.#keys.size > 0 && this.#keys.has(keyOf(aggregate));
  }

  /** Asks the database; needed at the start and after every change. */
  async refresh(held: HeldCheckpoint): Promise<void> {
    const parked = await this.#checkpoints.parkedAggregates(held);
    this.#keys = new Set(parked.map(keyOf));
  }
}

// References have no control characters, so two of them never share a key.
const keyOf = ({ type, id }: AggregateRef): string => `${type}\n${id}`;
