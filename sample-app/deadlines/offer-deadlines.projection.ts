import {
  type EventRecord,
  type GenerationHooks,
  type GenerationScope,
  On,
  Projection,
  type ProjectionContext,
} from 'nest-event-store';
import {
  ApplicationCancelled,
  ApplicationDeclined,
} from '../applications/events/application.events.ts';
import {
  OfferAccepted,
  OfferCancelled,
  OfferDeclined,
  OfferExpired,
  OfferSent,
  OfferSentBack,
} from '../applications/events/offer.events.ts';
import { answerBy } from '../applications/offers.ts';

/** Lists the offers that customers have not answered, with the time until which they may. */
@Projection('offer-deadlines')
export class OfferDeadlines implements GenerationHooks {
  @On(OfferSent)
  async begin(
    { at }: OfferSent,
    { aggregate }: EventRecord,
    { manager, generation }: ProjectionContext,
  ): Promise<void> {
    await manager.query(
      `INSERT INTO offer_deadlines_${generation} (application_id, answer_by) VALUES ($1, $2)`,
      [aggregate.id, answerBy(at)],
    );
  }

  @On(
    OfferSentBack,
    OfferAccepted,
    OfferDeclined,
    OfferCancelled,
    OfferExpired,
    ApplicationDeclined,
    ApplicationCancelled,
  )
  async end(
    _event: object,
    { aggregate }: EventRecord,
    { manager, generation }: ProjectionContext,
  ): Promise<void> {
    await manager.query(`DELETE FROM offer_deadlines_${generation} WHERE application_id = $1`, [
      aggregate.id,
    ]);
  }

  async prepare({ generation, manager }: GenerationScope): Promise<void> {
    await manager.query(`
      CREATE TABLE offer_deadlines_${generation} (
        application_id text PRIMARY KEY,
        answer_by timestamptz NOT NULL
      );
      CREATE INDEX ON offer_deadlines_${generation} (answer_by)`);
  }

  async activate({ generation, manager }: GenerationScope): Promise<void> {
    await manager.query(`
      DROP VIEW IF EXISTS offer_deadlines;
      CREATE VIEW offer_deadlines AS SELECT * FROM offer_deadlines_${generation}`);
  }

  async discard({ generation, manager }: GenerationScope): Promise<void> {
    await manager.query(`DROP TABLE offer_deadlines_${generation} CASCADE`);
  }
}
