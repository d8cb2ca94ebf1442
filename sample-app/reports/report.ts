/** The outcome of all applications. */
export interface Report {
  /** The position in the log up to which everything is counted. */
  readonly position: number;
  readonly applications: number;
  /** The sum of the requested amounts, in euro. */
  readonly amountRequested: number;
  readonly events: number;
  readonly eventsByType: Readonly<Record<string, number>>;
  /** How many applications reached each state, and the sum of their amounts, in euro. */
  readonly statesReached: Readonly<Record<string, { applications: number; amount: number }>>;
  /** The mean time from submission to approval; `null` while nothing is approved. */
  readonly meanHoursToApproval: number | null;
}
