import { AggregateRoot } from '@nestjs/cqrs';
import type { ApplicationStatus, GrantStep } from './application-status.ts';
import type { ApplicationSubmitted } from './events/application.events.ts';
import type { OfferSent } from './events/offer.events.ts';
import type {
  WorkItemCompleted,
  WorkItemScheduled,
  WorkItemStarted,
} from './events/work-item.events.ts';
import { answerBy, noOffers, type Offers, offersAfter } from './offers.ts';
import { type WorkItems, workItemsAfter } from './work-items.ts';

/** What an application looks like from outside. */
export interface ApplicationView {
  readonly id: string;
  /** The requested amount, in euro. */
  readonly amount: number;
  readonly status: ApplicationStatus;
  /** The completed steps of granting the loan, in their order. */
  readonly granted: readonly GrantStep[];
  readonly offers: Offers;
  readonly workItems: WorkItems;
}

/** The state of a loan application, folded from its events, on which its rules are based. */
export abstract class ApplicationState extends AggregateRoot {
  protected amount = 0;
  protected status: ApplicationStatus = 'new';
  protected granted: readonly GrantStep[] = [];
  protected offers: Offers = noOffers;
  protected workItems: WorkItems = {};

  constructor(readonly id: string) {
    super();
  }

  get view(): ApplicationView {
    const { id, amount, status, granted, offers, workItems } = this;
    return { id, amount, status, granted, offers, workItems };
  }

  protected onApplicationSubmitted(event: ApplicationSubmitted): void {
    this.amount = event.amount;
    this.status = 'submitted';
  }

  protected onApplicationPartlySubmitted(): void {
    this.status = 'partly-submitted';
  }

  protected onApplicationPreaccepted(): void {
    this.status = 'preaccepted';
  }

  protected onApplicationAccepted(): void {
    this.status = 'accepted';
  }

  protected onApplicationFinalized(): void {
    this.status = 'finalized';
  }

  protected onApplicationDeclined(): void {
    this.status = 'declined';
  }

  protected onApplicationCancelled(): void {
    this.status = 'cancelled';
  }

  protected onApplicationApproved(): void {
    this.grantedBy('approved');
  }

  protected onApplicationRegistered(): void {
    this.grantedBy('registered');
  }

  protected onApplicationActivated(): void {
    this.grantedBy('activated');
  }

  protected onOfferSelected(): void {
    this.offers = offersAfter('select', this.offers);
  }

  protected onOfferCreated(): void {
    this.offers = offersAfter('create', this.offers);
  }

  protected onOfferSent({ at }: OfferSent): void {
    this.offers = { ...offersAfter('send', this.offers), answerBy: answerBy(at).toISOString() };
  }

  protected onOfferSentBack(): void {
    this.offers = offersAfter('send-back', this.offers);
  }

  protected onOfferAccepted(): void {
    this.offers = offersAfter('accept', this.offers);
  }

  protected onOfferDeclined(): void {
    this.offers = offersAfter('decline', this.offers);
  }

  protected onOfferCancelled(): void {
    this.offers = offersAfter('cancel', this.offers);
  }

  protected onOfferExpired(): void {
    this.offers = offersAfter('expire', this.offers);
  }

  protected onWorkItemScheduled({ kind }: WorkItemScheduled): void {
    this.workItems = workItemsAfter('schedule', kind, this.workItems);
  }

  protected onWorkItemStarted({ kind }: WorkItemStarted): void {
    this.workItems = workItemsAfter('start', kind, this.workItems);
  }

  protected onWorkItemCompleted({ kind }: WorkItemCompleted): void {
    this.workItems = workItemsAfter('complete', kind, this.workItems);
  }

  private grantedBy(step: GrantStep): void {
    this.status = 'granted';
    this.granted = [...this.granted, step];
  }
}
