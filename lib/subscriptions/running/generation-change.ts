import type { EntityManager } from 'typeorm';
import type { EventStore } from '../../store/event-store.ts';
import { settleMs } from './checkpoint-cursor.ts';
import type { Generations } from '../generations.ts';
import { callWhileHeld, type Deliverer } from './deliver-slice.ts';
import { isDue, type LogFilter } from './selection.ts';
import { sleep } from '../../input/sleep.ts';

/** What it takes to put a generation in the place of the one in use. */
export interface GenerationChangeParts extends Pick<Deliverer, 'consumer' | 'cursor'> {
  readonly store: EventStore;
  readonly generations: Generations;
  readonly filter: LogFilter;
}

/** How long appends may have to wait while an inline projection is exchanged. */
const patienceMs = 500;

/** Follows the generation in use with one that is built beside it, and puts that in its place. */
export class GenerationChange {
  readonly #parts: GenerationChangeParts;
  readonly #stopping: AbortSignal;

  constructor(parts: GenerationChangeParts, stopping: AbortSignal) {
    this.#parts = parts;
    this.#stopping = stopping;
  }

  /** A generation that is built goes no further than the one in use, so that no effect comes twice. */
  async bound(): Promise<number> {
    const { consumer, cursor, generations } = this.#parts;
    if (!cursor.held.rebuild) return Infinity;
    const inUse = await generations.positionsInUse(consumer.name);
    return inUse ? Math.min(...inUse.positions) : Infinity;
  }

  /** Tries to put this generation in the place of the one in use; returns whether it is there. */
  async replaceFormer(): Promise<boolean> {
    const { consumer, cursor, store, generations } = this.#parts;
    await cursor.saveIdle(true);
    // The exchange of an inline projection keeps appends waiting until the whole log can be read. So it
    // is not begun beside a transaction that has appended and stays open.
    const keepsAppendsWaiting = consumer.kind === 'inline-projection';
    if (keepsAppendsWaiting && !(await untilReadable(store, this.#stopping))) {
      return false;
    }
    return generations.replace(cursor.held, consumer, (manager, through) =>
      this.#catchUp(manager, through),
    );
  }

  /** Applies the log up to `through` in one transaction; returns whether it has come so far. */
  async #catchUp(manager: EntityManager, through: number): Promise<boolean> {
    const { cursor, store, filter } = this.#parts;
    const { storedTypes: types } = filter;
    // Appends of others are in flight for moments only; one that stays open is not waited for, as all
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
 * Waits until all that is appended by now can be read, but no longer than `patienceMs`.
 *
 * Returns whether it can: if not, some transaction that has appended stays open.
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
