import { EventsHandler, type IEventHandler } from '@nestjs/cqrs';
import { recordOf } from 'nest-event-store';
import { applicationEvents } from '../applications/events/application.events.ts';
import { offerEvents } from '../applications/events/offer.events.ts';
import { workItemEvents } from '../applications/events/work-item.events.ts';
import { ReportKeeper } from './report-keeper.ts';

/** Hands every event to the report as soon as it is committed. */
@EventsHandler(...applicationEvents, ...offerEvents, ...workItemEvents)
export class ReportHandler implements IEventHandler<object> {
  constructor(private readonly keeper: ReportKeeper) {}

  async handle(event: object): Promise<void> {
    const record = recordOf(event);
    if (record) await this.keeper.take(record);
  }
}
