import { ChainedLog } from './chained-log.ts';
import { UnsupportedFeatureError } from '../store/store.errors.ts';

/** Used where there is no hash chain: every call throws. */
export class UnsupportedChainedLog extends ChainedLog {
  override read(): Promise<never> {
    return Promise.reject(new UnsupportedFeatureError('evidence'));
  }
}
