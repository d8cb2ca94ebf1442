/**
 * The status of an application.
 *
 *     new → submitted → partly-submitted → preaccepted → accepted → finalized → granted
 *                              └───────────────┴────────────┴───────────┴→ declined | cancelled
 *
 * A granted loan is approved, registered and activated, in any order.
 */
export const applicationStatuses = [
  'new',
  'submitted',
  'partly-submitted',
  'preaccepted',
  'accepted',
  'finalized',
  'granted',
  'declined',
  'cancelled',
] as const;

export type ApplicationStatus = (typeof applicationStatuses)[number];

const next: Record<ApplicationStatus, readonly ApplicationStatus[]> = {
  new: ['submitted'],
  submitted: ['partly-submitted'],
  'partly-submitted': ['preaccepted', 'declined', 'cancelled'],
  preaccepted: ['accepted', 'declined', 'cancelled'],
  accepted: ['finalized', 'declined', 'cancelled'],
  finalized: ['granted', 'declined', 'cancelled'],
  granted: ['granted'],
  declined: [],
  cancelled: [],
};

export function canBecome(from: ApplicationStatus, to: ApplicationStatus): boolean {
  return next[from].includes(to);
}

/** The three steps that grant a loan, each taken once. */
export const grantSteps = ['approved', 'registered', 'activated'] as const;
export type GrantStep = (typeof grantSteps)[number];
