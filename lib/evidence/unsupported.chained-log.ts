import { ChainedLog } from './chained-log.ts';
import { EvidenceUnsupportedError } from './evidence.errors.ts';

/** Stands where there is no hash chain: whatever is asked of it, it says so. */
export class UnsupportedChainedLog extends ChainedLog {
  override read(): Promise<never> {
    return Promise.reject(new EvidenceUnsupportedError());
  }
}
