import { DomainEvent, upcaster } from 'nest-event-store';

/** The desk chose the offer to make. */
@DomainEvent('offer.selected', { dates: ['at'] })
export class OfferSelected {
  constructor(readonly at: Date) {}
}

/** The selected offer was written, under a number that is unique at this desk. */
@DomainEvent('offer.created', { revision: 2, dates: ['at'] })
export class OfferCreated {
  constructor(
    /** `null` for offers from before they were numbered. */
    readonly number: string | null,
    readonly at: Date,
  ) {}
}

/** Reads offers from before they were numbered. */
export const offerWithoutNumber = upcaster('offer.created', 1, (offer) => ({
  ...offer,
  number: null,
}));

/** The offer was sent to the customer. */
@DomainEvent('offer.sent', { dates: ['at'] })
export class OfferSent {
  constructor(readonly at: Date) {}
}

/** The customer sent the signed offer back. */
@DomainEvent('offer.sent-back', { dates: ['at'] })
export class OfferSentBack {
  constructor(readonly at: Date) {}
}

/** The signed offer is complete and binding. */
@DomainEvent('offer.accepted', { dates: ['at'] })
export class OfferAccepted {
  constructor(readonly at: Date) {}
}

/** The bank withdrew the offer because it declines the application. */
@DomainEvent('offer.declined', { dates: ['at'] })
export class OfferDeclined {
  constructor(readonly at: Date) {}
}

/** The offer is no longer valid: another offer replaced it, or the customer does not want it. */
@DomainEvent('offer.cancelled', { dates: ['at'] })
export class OfferCancelled {
  constructor(readonly at: Date) {}
}

/** The customer did not answer the offer in time, so it is no longer valid. */
@DomainEvent('offer.expired', { dates: ['at'] })
export class OfferExpired {
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
  OfferExpired,
];
