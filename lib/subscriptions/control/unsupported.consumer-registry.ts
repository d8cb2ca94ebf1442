import { ConsumerRegistry } from '../consumer-registry.ts';
import { UnsupportedFeatureError } from '../../store/store.errors.ts';

const refuse = (): Promise<never> => Promise.reject(new UnsupportedFeatureError('consumers'));

/** Used where no consumer can run: every call throws. */
export class UnsupportedConsumerRegistry extends ConsumerRegistry {
  override register = refuse;
  override states = refuse;
  override reached = refuse;
  override pause = refuse;
  override resume = refuse;
  override reset = refuse;
  override rebuild = refuse;
  override cancelRebuild = refuse;
  override parked = refuse;
  override retryParked = refuse;
  override discardParked = refuse;
  override skip = refuse;
  override skipped = refuse;
  override forget = refuse;
}
