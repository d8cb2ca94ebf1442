import { DomainEvent } from 'nest-event-store';
import type { WorkItemKind } from '../work-items.ts';

/** A clerk has to do this work. */
@DomainEvent('work-item.scheduled', { dates: ['at'] })
export class WorkItemScheduled {
  constructor(
    readonly kind: WorkItemKind,
    readonly at: Date,
  ) {}
}

/** A clerk has started this work. */
@DomainEvent('work-item.started', { dates: ['at'] })
export class WorkItemStarted {
  constructor(
    readonly kind: WorkItemKind,
    readonly at: Date,
  ) {}
}

/** The work was interrupted, or, if no clerk was doing it, is no longer needed. */
@DomainEvent('work-item.completed', { dates: ['at'] })
export class WorkItemCompleted {
  constructor(
    readonly kind: WorkItemKind,
    readonly at: Date,
  ) {}
}

export const workItemEvents = [WorkItemScheduled, WorkItemStarted, WorkItemCompleted];
