import { Injectable } from '@nestjs/common';
import { type ICommand, ofType, Saga } from '@nestjs/cqrs';
import { Durable, recordOf } from 'nest-event-store';
import { map, type Observable } from 'rxjs';
import { MoveApplication } from '../applications/commands/move-application.ts';
import { OfferExpired } from '../applications/events/offer.events.ts';

/** Cancels an application when its offer has expired. */
@Injectable()
export class UnansweredOffers {
  @Durable('unanswered-offers', { events: [OfferExpired] })
  @Saga()
  readonly cancelApplication = (events: Observable<object>): Observable<ICommand> =>
    events.pipe(
      ofType(OfferExpired),
      map(
        (event) => new MoveApplication(applicationOf(event), 'cancel-unanswered', { at: event.at }),
      ),
    );
}

function applicationOf(event: OfferExpired): string {
  const record = recordOf(event);
  if (!record) throw new Error('This offer has expired without being recorded.');
  return record.aggregate.id;
}
