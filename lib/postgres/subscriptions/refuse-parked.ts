import { ConsumerStateError } from '../../subscriptions/subscriptions.errors.ts';

/**
 * Refuses, because parked events were never handled: afterwards they would come as replayed, or not at
 * all.
 */
export function refuseParked(name: string, parked: number, before: string): void {
  if (parked === 0) return;
  throw new ConsumerStateError(
    name,
    `has ${parked} parked ${parked === 1 ? 'event' : 'events'}, whose effects would be lost. Call ` +
      `retryParked('${name}'), or discardParked for what parked('${name}') names, before ${before}.`,
  );
}
