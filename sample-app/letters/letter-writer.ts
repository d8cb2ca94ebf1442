import { EventsHandler, type IEventHandler } from '@nestjs/cqrs';
import { currentDelivery, Durable, type EventClass, recordOf } from 'nest-event-store';
import {
  ApplicationApproved,
  ApplicationCancelled,
  ApplicationDeclined,
} from '../applications/events/application.events.ts';
import { OfferExpired, OfferSent } from '../applications/events/offer.events.ts';
import { Letters } from './letters.ts';

const texts = new Map<EventClass, string>([
  [OfferSent, 'Please find our offer enclosed, and sign it if you agree.'],
  [OfferExpired, 'You have not answered our offer in time, so it no longer stands.'],
  [ApplicationApproved, 'We are glad to tell you that your loan is approved.'],
  [ApplicationDeclined, 'We are sorry that we cannot grant you the loan.'],
  [ApplicationCancelled, 'Your application is closed. You are welcome to apply again.'],
]);

/**
 * Writes letters to the applicants. The letters to one applicant are in the order of the events; there
 * are four partitions, so that no applicant waits for the letters to all others.
 *
 * An event may come a second time after a crash; the event id under which the letter is stored reveals
 * this. It also comes again when an operator restarts the handler from an earlier event; its letter was
 * already sent.
 */
@Durable('letters', { partitions: 4 })
@EventsHandler(...texts.keys())
export class LetterWriter implements IEventHandler<object> {
  constructor(private readonly letters: Letters) {}

  async handle(event: object): Promise<void> {
    const record = recordOf(event);
    const text = texts.get(event.constructor as EventClass);
    if (!record || !text || currentDelivery()?.replayed) return;
    await this.letters.write(record.id, record.aggregate.id, text);
  }
}
