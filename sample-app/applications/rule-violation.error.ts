/** The rules of the loan desk forbid a command. Nothing was recorded. */
export class RuleViolationError extends Error {
  readonly code = 'RULE_VIOLATION';

  constructor(
    readonly applicationId: string,
    readonly step: string,
    readonly reason: string,
  ) {
    super(`Application ${applicationId}: cannot ${step}, because ${reason}.`);
    this.name = RuleViolationError.name;
  }
}
