import { Aggregate, type AggregateRef, everyNEvents } from 'nest-event-store';
import { ApplicationState } from './application-state.ts';
import { type ApplicationStatus, canBecome, type GrantStep } from './application-status.ts';
import {
  ApplicationAccepted,
  ApplicationActivated,
  ApplicationApproved,
  ApplicationCancelled,
  ApplicationDeclined,
  ApplicationFinalized,
  ApplicationPartlySubmitted,
  ApplicationPreaccepted,
  ApplicationRegistered,
  ApplicationSubmitted,
} from './events/application.events.ts';
import {
  OfferAccepted,
  OfferCancelled,
  OfferCreated,
  OfferDeclined,
  OfferExpired,
  OfferSelected,
  OfferSent,
  OfferSentBack,
} from './events/offer.events.ts';
import {
  WorkItemCompleted,
  WorkItemScheduled,
  WorkItemStarted,
} from './events/work-item.events.ts';
import { type OfferStep, whyNotOffer } from './offers.ts';
import { RuleViolationError } from './rule-violation.error.ts';
import { whyNotWorkItem, type WorkItemKind, type WorkItemStep } from './work-items.ts';

const aggregateType = 'loan-application';

/** The revision of an application's snapshot: since the second one, offers are numbered and expire. */
export const snapshotRevision = 2;

const workItemEventOf = {
  schedule: WorkItemScheduled,
  start: WorkItemStarted,
  complete: WorkItemCompleted,
};

/**
 * A loan application with its offers and work items; it makes every decision about them.
 *
 * A method checks the rules and applies one event, or throws `RuleViolationError`. `at` is when the
 * step happened. A step that the clock triggers, and not a person, may come too late or twice; it is
 * then ignored, and nothing is applied.
 */
@Aggregate(aggregateType, { snapshots: everyNEvents(50), snapshotRevision })
export class LoanApplication extends ApplicationState {
  /** Returns the reference under which the store knows an application. */
  static ref(id: string): AggregateRef {
    return { type: aggregateType, id };
  }

  submit(amount: number, at: Date): void {
    this.become('submitted', new ApplicationSubmitted(amount, at));
  }

  partlySubmit(at: Date): void {
    this.become('partly-submitted', new ApplicationPartlySubmitted(at));
  }

  preaccept(at: Date): void {
    this.become('preaccepted', new ApplicationPreaccepted(at));
  }

  accept(at: Date): void {
    this.become('accepted', new ApplicationAccepted(at));
  }

  finalize(at: Date): void {
    this.become('finalized', new ApplicationFinalized(at));
  }

  approve(at: Date): void {
    this.grant('approved', new ApplicationApproved(at));
  }

  register(at: Date): void {
    this.grant('registered', new ApplicationRegistered(at));
  }

  activate(at: Date): void {
    this.grant('activated', new ApplicationActivated(at));
  }

  decline(at: Date): void {
    if (this.offers.outcome === 'accepted') this.refuse('be declined', 'an offer was accepted');
    this.become('declined', new ApplicationDeclined(at));
  }

  cancel(at: Date): void {
    const { outcome } = this.offers;
    if (outcome) this.refuse('be cancelled', `an offer was ${outcome}`);
    this.become('cancelled', new ApplicationCancelled(at));
  }

  selectOffer(at: Date): void {
    this.moveOffer('select', new OfferSelected(at));
  }

  /** Creates an offer. Without a `number`, the number consists of the id and a running number. */
  createOffer(at: Date, number = `${this.id}-${this.offers.written + 1}`): void {
    this.moveOffer('create', new OfferCreated(number, at));
  }

  sendOffer(at: Date): void {
    this.moveOffer('send', new OfferSent(at));
  }

  sendOfferBack(at: Date): void {
    this.moveOffer('send-back', new OfferSentBack(at));
  }

  acceptOffer(at: Date): void {
    this.moveOffer('accept', new OfferAccepted(at));
  }

  declineOffer(at: Date): void {
    this.moveOffer('decline', new OfferDeclined(at));
  }

  cancelOffer(at: Date): void {
    this.moveOffer('cancel', new OfferCancelled(at));
  }

  /** Ends the offer if the customer has it unanswered and the time for an answer is over. */
  expireOffer(at: Date): void {
    if (whyNotOffer('expire', this.offers, this.status)) return;
    if (this.offers.answerBy && at < new Date(this.offers.answerBy)) return;
    this.apply(new OfferExpired(at));
  }

  /** Cancels the application after its offer has expired, unless a clerk has decided on it. */
  cancelUnanswered(at: Date): void {
    const { expired, prepared } = this.offers;
    if (!expired || prepared || !canBecome(this.status, 'cancelled')) return;
    this.apply(new ApplicationCancelled(at));
  }

  moveWorkItem(step: WorkItemStep, kind: WorkItemKind, at: Date): void {
    const reason = whyNotWorkItem(step, kind, this.view);
    if (reason) this.refuse(`${step} work item ${kind}`, reason);
    this.apply(new workItemEventOf[step](kind, at));
  }

  private become(status: ApplicationStatus, event: object): void {
    if (!canBecome(this.status, status)) this.refuse(`become ${status}`, `it is ${this.status}`);
    this.apply(event);
  }

  private grant(step: GrantStep, event: object): void {
    const { withCustomer, outcome, everSentBack } = this.offers;
    if (this.granted.includes(step)) this.refuse(`be ${step}`, `it is ${step} already`);
    if (!everSentBack || !(withCustomer || outcome === 'accepted')) {
      this.refuse(`be ${step}`, 'there is no offer that the customer has agreed to');
    }
    this.become('granted', event);
  }

  private moveOffer(step: OfferStep, event: object): void {
    const reason = whyNotOffer(step, this.offers, this.status);
    if (reason) this.refuse(`${step} an offer`, reason);
    this.apply(event);
  }

  private refuse(step: string, reason: string): never {
    throw new RuleViolationError(this.id, step, reason);
  }
}
