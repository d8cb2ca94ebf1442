import { Module } from '@nestjs/common';
import { EventStoreModule } from 'nest-event-store';
import { ApplicationsController } from './applications.controller.ts';
import { CreateOfferHandler } from './commands/create-offer.ts';
import { MoveApplicationHandler } from './commands/move-application.ts';
import { MoveWorkItemHandler } from './commands/move-work-item.ts';
import { SubmitApplicationHandler } from './commands/submit-application.ts';
import { applicationEvents } from './events/application.events.ts';
import { offerEvents, offerWithoutNumber } from './events/offer.events.ts';
import { workItemEvents } from './events/work-item.events.ts';
import { LoanApplication } from './loan-application.ts';
import { OfferNumbers } from './offer-numbers.projection.ts';
import { GetApplicationEventsHandler } from './queries/get-application-events.ts';
import { GetApplicationHandler } from './queries/get-application.ts';

@Module({
  imports: [
    EventStoreModule.forFeature({
      aggregates: [LoanApplication],
      events: [...applicationEvents, ...offerEvents, ...workItemEvents],
      upcasters: [offerWithoutNumber],
    }),
  ],
  controllers: [ApplicationsController],
  providers: [
    SubmitApplicationHandler,
    MoveApplicationHandler,
    CreateOfferHandler,
    MoveWorkItemHandler,
    GetApplicationHandler,
    GetApplicationEventsHandler,
    OfferNumbers,
  ],
})
export class ApplicationsModule {}
