import { findingsOfAttempts } from './attempt.findings.ts';
import type { History, HistoryFinding } from './history.ts';
import { findingsOfLog } from './log.findings.ts';
import { findingsOfOrder } from './order.findings.ts';
import { findingsOfReaders } from './reader.findings.ts';

/**
 * Returns what is wrong with a history; an empty list if nothing is.
 *
 * Checks the log itself, the answers to appends, the order of calls in time, and the pages that readers
 * of the log got while it was written.
 */
export function findingsOfHistory(history: History): HistoryFinding[] {
  return [
    ...findingsOfLog(history.log),
    ...findingsOfAttempts(history),
    ...findingsOfOrder(history),
    ...findingsOfReaders(history.pages, history.log),
  ];
}
