/**
 * Where a consumer, or one partition of it, stands. `ConsumerStatus` is written by whoever holds it.
 *
 *     waiting ─→ catching-up ⇄ live          paused: asked to rest; on again with resume
 *        ↑            ↓↑        ↓↑           stopped: gave up an event; on again with start
 *        └──────── retrying ⇄ (both)         replaced: waits for the generation that replaces it
 *
 * `waiting`, `paused` and `replaced` have no owner; a lost lease or a restart leads to `waiting`.
 */
export type ConsumerStatus =
  'waiting' | 'catching-up' | 'live' | 'retrying' | 'paused' | 'stopped' | 'replaced';

const legalMoves: Record<ConsumerStatus, readonly ConsumerStatus[]> = {
  waiting: ['catching-up', 'paused', 'replaced'],
  'catching-up': ['live', 'retrying', 'stopped', 'paused', 'waiting', 'replaced'],
  live: ['catching-up', 'retrying', 'stopped', 'paused', 'waiting', 'replaced'],
  retrying: ['catching-up', 'live', 'stopped', 'paused', 'waiting', 'replaced'],
  paused: ['waiting', 'replaced'],
  stopped: ['waiting', 'replaced'],
  replaced: ['waiting'],
};

/** Tells whether the life cycle leads from one status to the other. */
export function canMove(from: ConsumerStatus, to: ConsumerStatus): boolean {
  return from === to || legalMoves[from].includes(to);
}

const fromBadToGood: readonly ConsumerStatus[] = [
  'stopped',
  'retrying',
  'paused',
  'waiting',
  'replaced',
  'catching-up',
  'live',
];

/** Returns the one among several that an operator should hear of first. */
export function worstStatus(statuses: readonly ConsumerStatus[]): ConsumerStatus {
  return fromBadToGood.find((status) => statuses.includes(status)) ?? 'waiting';
}
