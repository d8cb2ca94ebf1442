import { faultsOfAttempts } from './attempt.faults.ts';
import type { History, HistoryFault } from './history.ts';
import { faultsOfLog } from './log.faults.ts';
import { faultsOfOrder } from './order.faults.ts';
import { faultsOfReaders } from './reader.faults.ts';

/**
 * Says what is wrong with a history; an empty list if nothing is.
 *
 * The log in itself, the answers that appends were given, the order of things in time, and what readers
 * of the log were handed while it was written.
 */
export function faultsOfHistory(history: History): HistoryFault[] {
  return [
    ...faultsOfLog(history.log),
    ...faultsOfAttempts(history),
    ...faultsOfOrder(history),
    ...faultsOfReaders(history.pages, history.log),
  ];
}
