import { LRUCache } from 'lru-cache';

/** An aggregate folded up to a version. */
export interface FoldedAggregate<T> {
  readonly aggregate: T;
  readonly version: number;
}

/**
 * The aggregates used last, so that the next use asks only for newer events.
 *
 * Taking one out removes it: two callers never share an instance, and one whose work failed is
 * simply not put back. Nothing relies on an aggregate being here.
 */
export class AggregateCache<T extends object> {
  readonly #folded: LRUCache<string, FoldedAggregate<T>> | undefined;

  /** `size` is the number of aggregates kept; 0 keeps none. */
  constructor(size: number) {
    if (size > 0) this.#folded = new LRUCache({ max: size });
  }

  take(id: string): FoldedAggregate<T> | undefined {
    const folded = this.#folded?.get(id);
    if (folded) this.#folded?.delete(id);
    return folded;
  }

  put(id: string, folded: FoldedAggregate<T>): void {
    this.#folded?.set(id, folded);
  }
}
