/** What became of all applications. */
export interface Report {
  /** The place in the log up to which everything is counted. */
  readonly position: number;
  readonly applications: number;
  /** The amounts asked for, in euro, in sum. */
  readonly amountRequested: number;
  readonly events: number;
  readonly eventsByType: Readonly<Record<string, number>>;
  /** How many applications reached each state, and the amounts they asked for, in euro. */
  readonly statesReached: Readonly<Record<string, { applications: number; amount: number }>>;
  /** From submission to approval; `null` while nothing is approved. */
  readonly meanHoursToApproval: number | null;
}
