import { setTimeout as delay } from 'node:timers/promises';
import type { EntityManager } from 'typeorm';
import { DurabilityUncertainError, TransactionConflictError } from '../errors/database.errors.ts';
import { WrongExpectedVersionError } from '../../../store/appending/append.errors.ts';
import type { TransactionOptions } from '../../../store/transaction-options.ts';
import type { Database } from '../database.ts';
import { isTransactionConflict, translateError } from '../errors/translate-error.ts';
import { noteUnsent } from '../errors/failure-kind.ts';

/**
 * Runs work in a transaction, and repeats all of it after a conflict: an unexpected version, a
 * serialization failure or a deadlock, in the work or at the commit.
 *
 * Errors that the work throws are passed on unchanged. A conflict of the database after the last
 * attempt becomes a `TransactionConflictError`.
 */
export async function repeatedTransaction<T>(
  database: Database,
  work: (manager: EntityManager) => Promise<T>,
  { isolationLevel, retries }: Required<TransactionOptions>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const progress = { hasBegun: false, isInWork: false };
    try {
      const { value, isReplicated } = await database.commitTransaction(async (manager) => {
        Object.assign(progress, { hasBegun: true, isInWork: true });
        const result = await work(manager);
        progress.isInWork = false;
        return result;
      }, isolationLevel);
      if (isReplicated) return value;
      throw new DurabilityUncertainError([]);
    } catch (error) {
      if (!progress.hasBegun) noteUnsent(error);
      const isConflict = isTransactionConflict(error);
      const mayRepeat =
        isConflict ||
        error instanceof TransactionConflictError ||
        error instanceof WrongExpectedVersionError;
      if (!mayRepeat || attempt > retries) {
        throw progress.isInWork && !isConflict ? error : translateError(error);
      }
    }
    // A random delay, so that transactions in conflict do not meet again.
    await delay(Math.random() * Math.min(500, 5 * 2 ** attempt));
  }
}
