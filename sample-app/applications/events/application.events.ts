import { DomainEvent } from 'nest-event-store';

/** The customer asked for a loan of `amount` euro. */
@DomainEvent('loan-application.submitted', { dates: ['at'] })
export class ApplicationSubmitted {
  constructor(
    readonly amount: number,
    readonly at: Date,
  ) {}
}

/** The application passed the first, automatic check. */
@DomainEvent('loan-application.partly-submitted', { dates: ['at'] })
export class ApplicationPartlySubmitted {
  constructor(readonly at: Date) {}
}

/** The application passed the first check and needs more information. */
@DomainEvent('loan-application.preaccepted', { dates: ['at'] })
export class ApplicationPreaccepted {
  constructor(readonly at: Date) {}
}

/** The information is complete and the bank is willing to make an offer. */
@DomainEvent('loan-application.accepted', { dates: ['at'] })
export class ApplicationAccepted {
  constructor(readonly at: Date) {}
}

/** The application is final: offers can be written for it. */
@DomainEvent('loan-application.finalized', { dates: ['at'] })
export class ApplicationFinalized {
  constructor(readonly at: Date) {}
}

/** The bank approved the loan. */
@DomainEvent('loan-application.approved', { dates: ['at'] })
export class ApplicationApproved {
  constructor(readonly at: Date) {}
}

/** The contract is registered. */
@DomainEvent('loan-application.registered', { dates: ['at'] })
export class ApplicationRegistered {
  constructor(readonly at: Date) {}
}

/** The loan is active. */
@DomainEvent('loan-application.activated', { dates: ['at'] })
export class ApplicationActivated {
  constructor(readonly at: Date) {}
}

/** The bank declined the application. */
@DomainEvent('loan-application.declined', { dates: ['at'] })
export class ApplicationDeclined {
  constructor(readonly at: Date) {}
}

/** The customer withdrew, or did not answer in time. */
@DomainEvent('loan-application.cancelled', { dates: ['at'] })
export class ApplicationCancelled {
  constructor(readonly at: Date) {}
}

export const applicationEvents = [
  ApplicationSubmitted,
  ApplicationPartlySubmitted,
  ApplicationPreaccepted,
  ApplicationAccepted,
  ApplicationFinalized,
  ApplicationApproved,
  ApplicationRegistered,
  ApplicationActivated,
  ApplicationDeclined,
  ApplicationCancelled,
];
