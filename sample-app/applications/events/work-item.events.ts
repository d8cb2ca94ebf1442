import { DomainEvent } from 'nest-event-store';
import type { WorkItemKind } from '../work-items.ts';

/** Somebody is to do this work. */
@DomainEvent('work-item.scheduled', { dates: ['at'] })
export class WorkItemScheduled {
  constructor(
    readonly kind: WorkItemKind,
    readonly at: Date,
  ) {}
}

/** Somebody is doing this work. */
@DomainEvent('work-item.started', { dates: ['at'] })
export class WorkItemStarted {
  constructor(
    readonly kind: WorkItemKind,
    readonly at: Date,
  ) {}
}

/** The work was laid down, or, if nobody was doing it, is no longer needed. */
@DomainEvent('work-item.completed', { dates: ['at'] })
export class WorkItemCompleted {
  constructor(
    readonly kind: WorkItemKind,
    readonly at: Date,
  ) {}
}

export const workItemEvents = [WorkItemScheduled, WorkItemStarted, WorkItemCompleted];
