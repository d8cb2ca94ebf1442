import { startProcess, type TestProcess } from '../processes.ts';
import type { LedgerFunctions, LedgerProcessOptions } from './ledger.process.ts';

export type LedgerProcess = TestProcess<LedgerFunctions>;

/** Starts an application with all consumers of the ledger in a process of its own. */
export const startLedger = (options: LedgerProcessOptions): Promise<LedgerProcess> =>
  startProcess<LedgerFunctions>(new URL('./ledger.process.ts', import.meta.url), options);
