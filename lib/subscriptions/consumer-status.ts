/**
 * The status of a consumer, or of one partition of it.
 *
 *     waiting → catching-up ⇄ live ⇄ retrying → stopped → waiting
 *
 * `waiting`: no process runs it now. `catching-up`: it reads older events. `live`: it is at the end of
 * the log. `retrying`: an event has failed and will be tried again. `stopped`: it has given up, until
 * `resume` or the next start of an application. From each of the others, a lost lease or a shutdown
 * leads to `waiting`, and `pause` to `paused`, which `resume` turns into `waiting`. `replaced`: it is
 * halted briefly, until the generation that was built beside it replaces it.
 */
export type ConsumerStatus =
  'waiting' | 'catching-up' | 'live' | 'retrying' | 'paused' | 'stopped' | 'replaced';

const fromBadToGood: readonly ConsumerStatus[] = [
  'stopped',
  'retrying',
  'paused',
  'waiting',
  'replaced',
  'catching-up',
  'live',
];

/** Returns the most urgent of several statuses. */
export function worstStatus(statuses: readonly ConsumerStatus[]): ConsumerStatus {
  return fromBadToGood.find((status) => statuses.includes(status)) ?? 'waiting';
}
