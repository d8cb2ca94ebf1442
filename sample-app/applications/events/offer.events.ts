import { DomainEvent } from 'nest-event-store';

/** The desk chose the offer to make. */
@DomainEvent('offer.selected', { dates: ['at'] })
export class OfferSelected {
  constructor(readonly at: Date) {}
}

/** The selected offer was written. */
@DomainEvent('offer.created', { dates: ['at'] })
export class OfferCreated {
  constructor(readonly at: Date) {}
}

/** The offer went to the customer. */
@DomainEvent('offer.sent', { dates: ['at'] })
export class OfferSent {
  constructor(readonly at: Date) {}
}

/** The customer sent the signed offer back. */
@DomainEvent('offer.sent-back', { dates: ['at'] })
export class OfferSentBack {
  constructor(readonly at: Date) {}
}

/** The signed offer is complete and holds. */
@DomainEvent('offer.accepted', { dates: ['at'] })
export class OfferAccepted {
  constructor(readonly at: Date) {}
}

/** The bank withdrew the offer because it declines the application. */
@DomainEvent('offer.declined', { dates: ['at'] })
export class OfferDeclined {
  constructor(readonly at: Date) {}
}

/** The offer no longer stands: replaced by another one, or not wanted. */
@DomainEvent('offer.cancelled', { dates: ['at'] })
export class OfferCancelled {
  constructor(readonly at: Date) {}
}

export const offerEvents = [
  OfferSelected,
  OfferCreated,
  OfferSent,
  OfferSentBack,
  OfferAccepted,
  OfferDeclined,
  OfferCancelled,
];
