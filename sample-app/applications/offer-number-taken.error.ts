/** Another offer has this number. Nothing was recorded. */
export class OfferNumberTakenError extends Error {
  readonly code = 'OFFER_NUMBER_TAKEN';

  constructor(
    readonly applicationId: string,
    readonly number: string,
  ) {
    super(
      `Application ${applicationId}: the number ${number} belongs to another offer. Give a new one, ` +
        'or leave it out to have one made.',
    );
    this.name = OfferNumberTakenError.name;
  }
}
