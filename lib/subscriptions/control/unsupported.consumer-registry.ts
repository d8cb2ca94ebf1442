import { ConsumerRegistry } from '../consumer-registry.ts';
import { ConsumersUnsupportedError } from '../subscriptions.errors.ts';

const refuse = (): Promise<never> => Promise.reject(new ConsumersUnsupportedError());

/** Stands where no consumer can run: whatever is asked of it, it says so. */
export class UnsupportedConsumerRegistry extends ConsumerRegistry {
  override register = refuse;
  override states = refuse;
  override reached = refuse;
  override pause = refuse;
  override resume = refuse;
  override start = refuse;
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
