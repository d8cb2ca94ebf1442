import type { ApplicationStatus } from './application-status.ts';
import type { Offers } from './offers.ts';

/** The kinds of work that the desk does on an application. */
export const workItemKinds = [
  'handle-lead',
  'complete-application',
  'assess-fraud',
  'follow-up-offer',
  'validate-application',
  'follow-up-incomplete-file',
  'change-contract',
] as const;
export type WorkItemKind = (typeof workItemKinds)[number];

export const workItemSteps = ['schedule', 'start', 'complete'] as const;
export type WorkItemStep = (typeof workItemSteps)[number];

/**
 * How many work items of one kind are open, and how many of them clerks are working on.
 *
 *     scheduled (open) ⇄ in work      started, and completed for the day: the item stays open
 *  └→ closed completed while no clerk works on it
 */
export interface WorkItemCount {
  readonly open: number;
  readonly inWork: number;
}

/** Work items have no ids of their own: they are counted by kind. */
export type WorkItems = Readonly<Partial<Record<WorkItemKind, WorkItemCount>>>;

interface SchedulingRule {
  readonly during: readonly ApplicationStatus[];
  readonly whyNot?: (offers: Offers) => string | null;
}

const scheduling: Record<WorkItemKind, SchedulingRule> = {
  'handle-lead': { during: ['partly-submitted'] },
  'complete-application': { during: ['partly-submitted', 'preaccepted'] },
  'assess-fraud': { during: ['partly-submitted', 'preaccepted', 'accepted', 'finalized'] },
  'follow-up-offer': {
    during: ['finalized'],
    whyNot: (offers) => (offers.prepared || offers.everSent ? null : 'there is no offer'),
  },
  'validate-application': {
    during: ['finalized'],
    whyNot: (offers) =>
      offers.withCustomer === 'sent-back' ? null : 'the customer has not sent the offer back',
  },
  'follow-up-incomplete-file': {
    during: ['finalized'],
    whyNot: (offers) => (offers.everSentBack ? null : 'no offer was ever sent back'),
  },
  'change-contract': {
    during: ['finalized', 'granted'],
    whyNot: (offers) => (offers.everSent ? null : 'no offer was sent'),
  },
};

/** The facts about an application that the rules for work items need. */
interface ApplicationFacts {
  readonly status: ApplicationStatus;
  readonly offers: Offers;
  readonly workItems: WorkItems;
}

/** Returns why the step is not possible now, or `null` if it is. */
export function whyNotWorkItem(
  step: WorkItemStep,
  kind: WorkItemKind,
  { status, offers, workItems }: ApplicationFacts,
): string | null {
  const { open, inWork } = countOf(kind, workItems);
  switch (step) {
    case 'schedule': {
      const { during, whyNot } = scheduling[kind];
      if (!during.includes(status)) return `the application is ${status}`;
      return whyNot?.(offers) ?? null;
    }
    case 'start':
      if (open === 0) return 'none is open';
      return inWork < open ? null : 'somebody is working on it';
    case 'complete':
      return open > 0 ? null : 'none is open';
  }
}

/** Returns the work items after a step. */
export function workItemsAfter(
  step: WorkItemStep,
  kind: WorkItemKind,
  workItems: WorkItems,
): WorkItems {
  const { open, inWork } = countOf(kind, workItems);
  switch (step) {
    case 'schedule':
      return { ...workItems, [kind]: { open: open + 1, inWork } };
    case 'start':
      return { ...workItems, [kind]: { open, inWork: inWork + 1 } };
    case 'complete':
      return inWork > 0
        ? { ...workItems, [kind]: { open, inWork: inWork - 1 } }
        : { ...workItems, [kind]: { open: open - 1, inWork } };
  }
}

function countOf(kind: WorkItemKind, workItems: WorkItems): WorkItemCount {
  return workItems[kind] ?? { open: 0, inWork: 0 };
}
