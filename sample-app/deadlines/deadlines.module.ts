import { Module } from '@nestjs/common';
import { DeskClock } from './desk-clock.ts';
import { OfferDeadlines } from './offer-deadlines.projection.ts';
import { OverdueOffers } from './overdue-offers.ts';
import { UnansweredOffers } from './unanswered-offers.saga.ts';

@Module({
  providers: [DeskClock, OfferDeadlines, OverdueOffers, UnansweredOffers],
})
export class DeadlinesModule {}
