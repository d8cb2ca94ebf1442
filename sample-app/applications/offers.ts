import type { ApplicationStatus } from './application-status.ts';

/**
 * The offers of one application: at most one being prepared and one with the customer.
 *
 *     selected → created → sent → sent-back → accepted
 *                           ├─────────┴─────→ declined | cancelled
 *                           └→ expired        not answered in time
 *
 * A new offer may be selected while another is out, but the old one is cancelled before the new
 * one is created.
 */
export interface Offers {
  readonly prepared: 'selected' | 'created' | null;
  readonly withCustomer: 'sent' | 'sent-back' | null;
  /** The time until which the customer may answer the last sent offer, in ISO 8601. */
  readonly answerBy: string | null;
  /** Whether the offer was not answered and no other offer was written since. */
  readonly expired: boolean;
  /** How the offers ended; they no longer change. */
  readonly outcome: 'accepted' | 'declined' | null;
  /** How many offers were written, whatever their outcome. */
  readonly written: number;
  readonly everSent: boolean;
  readonly everSentBack: boolean;
}

export type OfferStep =
  'select' | 'create' | 'send' | 'send-back' | 'accept' | 'decline' | 'cancel' | 'expire';

export const noOffers: Offers = {
  prepared: null,
  withCustomer: null,
  answerBy: null,
  expired: false,
  outcome: null,
  written: 0,
  everSent: false,
  everSentBack: false,
};

const daysToAnswer = 30;

/** Returns the time until which the customer may answer an offer that was sent at `sentAt`. */
export function answerBy(sentAt: Date): Date {
  return new Date(sentAt.getTime() + daysToAnswer * 24 * 3_600_000);
}

const allowedDuring: Record<OfferStep, readonly ApplicationStatus[]> = {
  select: ['accepted', 'finalized'],
  create: ['finalized'],
  send: ['finalized'],
  'send-back': ['finalized'],
  accept: ['finalized', 'granted'],
  decline: ['finalized', 'declined'],
  cancel: ['finalized', 'cancelled'],
  expire: ['finalized'],
};

/** Returns why the step is not possible now, or `null` if it is. */
export function whyNotOffer(
  step: OfferStep,
  offers: Offers,
  status: ApplicationStatus,
): string | null {
  if (!allowedDuring[step].includes(status)) return `the application is ${status}`;
  if (offers.outcome) return `an offer was ${offers.outcome}`;
  switch (step) {
    case 'select':
      return offers.prepared ? 'another offer is being prepared' : null;
    case 'create':
      if (offers.prepared !== 'selected') return 'no offer is selected';
      return offers.withCustomer ? 'the offer it replaces is not cancelled' : null;
    case 'send':
      return offers.prepared === 'created' ? null : 'no offer is created';
    case 'send-back':
    case 'expire':
      return offers.withCustomer === 'sent' ? null : 'the customer has no offer to sign';
    case 'accept':
      return offers.withCustomer && offers.everSentBack ? null : 'no offer was sent back';
    case 'decline':
    case 'cancel':
      return offers.withCustomer ? null : 'no offer is with the customer';
  }
}

/** Returns the offers after a step. */
export function offersAfter(step: OfferStep, offers: Offers): Offers {
  switch (step) {
    case 'select':
      return { ...offers, prepared: 'selected' };
    case 'create':
      return { ...offers, prepared: 'created', expired: false, written: offers.written + 1 };
    case 'send':
      return { ...offers, prepared: null, withCustomer: 'sent', everSent: true };
    case 'send-back':
      return { ...offers, withCustomer: 'sent-back', everSentBack: true };
    case 'accept':
      return { ...offers, withCustomer: null, outcome: 'accepted' };
    case 'decline':
      return { ...offers, withCustomer: null, outcome: 'declined' };
    case 'cancel':
      return { ...offers, withCustomer: null };
    case 'expire':
      return { ...offers, withCustomer: null, expired: true };
  }
}
