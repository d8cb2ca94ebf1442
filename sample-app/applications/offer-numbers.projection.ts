import {
  type EventRecord,
  type GenerationHooks,
  type GenerationScope,
  On,
  Projection,
  type ProjectionContext,
} from 'nest-event-store';
import { OfferCreated } from './events/offer.events.ts';
import { OfferNumberTakenError } from './offer-number-taken.error.ts';

/**
 * Keeps the numbers of all offers unique, which no single application can do.
 *
 * It works inside the append: an error that it throws refuses the event, and nothing is stored.
 */
@Projection('offer-numbers', { mode: 'inline' })
export class OfferNumbers implements GenerationHooks {
  @On(OfferCreated)
  async take(
    { number }: OfferCreated,
    { aggregate }: EventRecord,
    { manager, generation }: ProjectionContext,
  ): Promise<void> {
    if (number === null) return;
    const taken = await manager.query<object[]>(
      `INSERT INTO offer_numbers_${generation} (number, application_id) VALUES ($1, $2)
       ON CONFLICT (number) DO NOTHING
       RETURNING number`,
      [number, aggregate.id],
    );
    if (taken.length === 0) throw new OfferNumberTakenError(aggregate.id, number);
  }

  async prepare({ generation, manager }: GenerationScope): Promise<void> {
    await manager.query(
      `CREATE TABLE offer_numbers_${generation} (
        number text CONSTRAINT offer_numbers_${generation}_unique UNIQUE,
        application_id text NOT NULL
      )`,
    );
  }

  async discard({ generation, manager }: GenerationScope): Promise<void> {
    await manager.query(`DROP TABLE offer_numbers_${generation}`);
  }
}
