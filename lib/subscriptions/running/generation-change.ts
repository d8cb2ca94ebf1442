import type { EntityManager } from 'typeorm';
import type { EventStore } from '../../store/event-store.ts';
import { settleMs } from './checkpoint-cursor.ts';
import type { Generations } from '../generations.ts';
import { callWhileHeld, type Deliverer } from './deliver-slice.ts';
import { isDue, type LogFilter } from './selection.ts';
import { sleep } from '../../input/sleep.ts';

/** The parts that the replacement of the generation in use needs. */
export interface GenerationChangeParts extends Pick<Deliverer, 'consumer' | 'cursor'> {
  readonly store: EventStore;
  readonly generations: Generations;
  readonly filter: LogFilter;
}

/** How long appends may have to wait while an inline projection is replaced. */
const patienceMs = 500;

/** Lets a new generation follow the generation in use, and then replaces that. */
export class GenerationChange {
  readonly #parts: GenerationChangeParts;
  readonly #stopping: AbortSignal;

  constructor(parts: GenerationChangeParts, stopping: AbortSignal) {
    this.#parts = parts;
    this.#stopping = stopping;
  }

  /** A generation that is being built never passes the one in use, so that no effect happens twice. */
  async bound(): Promise<number> {
    const { consumer, cursor, generations } = this.#parts;
    if (!cursor.held.rebuild) return Infinity;
    const inUse = await generations.positionsInUse(consumer.name);
    return inUse ? Math.min(...inUse.positions) : Infinity;
  }

  /** Tries to replace the generation in use by this one; returns whether this one is now in use. */
  async replaceFormer(): Promise<boolean> {
    const { consumer, cursor, store, generations } = this.#parts;
    await cursor.saveIdle(true);
    // The replacement of an inline projection keeps appends waiting until the whole log can be read, so
    // it does not begin while a transaction that has appended stays open.
    const keepsAppendsWaiting = consumer.kind === 'inline-projection';
    if (keepsAppendsWaiting && !(await untilReadable(store, this.#stopping))) {
      return false;
    }
    return generations.replace(cursor.held, consumer, (manager, through) =>
      this.#catchUp(manager, through),
    );
  }

  /**
   * Applies the log up to `through` in one transaction; returns whether it has reached that position.
   */
  async #catchUp(manager: EntityManager, through: number): Promise<boolean> {
    const { cursor, store, filter } = this.#parts;
    const { storedTypes: types } = filter;
    // Other appends are in flight only briefly. There is no wait for one that stays open, because all
    // appends that concern the projection wait meanwhile.
    const deadline = performance.now() + patienceMs;
    for (let position = cursor.position; position < through;) {
      const page = await store.fetch(position, { types, manager });
      const due = page.records.filter((record) => isDue(record, filter, cursor.held));
      if (due.length > 0) await callWhileHeld(this.#parts, due, manager, 1);
      if (page.position <= position) {
        if (performance.now() > deadline) return false;
        await sleep(5, this.#stopping);
      }
      position = Math.max(position, page.position);
    }
    return true;
  }
}

/**
 * Waits until everything that is appended by now can be read, but no longer than `patienceMs`.
 *
 * Returns whether it can be read: if not, a transaction that has appended stays open.
 */
async function untilReadable(store: EventStore, stopping: AbortSignal): Promise<boolean> {
  const deadline = performance.now() + patienceMs;
  const { lastPosition: end } = await store.horizon();
  while ((await store.horizon()).position < end) {
    if (performance.now() > deadline || stopping.aborted) return false;
    await sleep(settleMs, stopping);
  }
  return true;
}
