import { findingsOfAttempts } from './attempt.findings.ts';
import type { History, HistoryFinding } from './history.ts';
import { findingsOfLog } from './log.findings.ts';
import { findingsOfOrder } from './order.findings.ts';
import { findingsOfReaders } from './reader.findings.ts';

/**
 * Says what is wrong with a history; an empty list if nothing is.
 *
 * The log in itself, the answers that appends were given, the order of things in time, and what readers
 * of the log were handed while it was written.
 */
export function findingsOfHistory(history: History): HistoryFinding[] {
  return [
    ...findingsOfLog(history.log),
    ...findingsOfAttempts(history),
    ...findingsOfOrder(history),
    ...findingsOfReaders(history.pages, history.log),
  ];
}
