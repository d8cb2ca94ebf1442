import type { EventRecord } from 'nest-event-store';
import {
  ApplicationApproved,
  ApplicationSubmitted,
} from '../applications/events/application.events.ts';

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

const applicationEvent = 'loan-application.';

/** Counts what happened to all applications. It must be given every record once, in log order. */
export class ApplicationReport {
  /** The place in the log of the record counted last. */
  position = 0;
  private events = 0;
  private readonly eventsByType: Record<string, number> = {};
  private readonly statesReached: Record<string, { applications: number; amount: number }> = {};
  private readonly submissions = new Map<string, ApplicationSubmitted>();
  private approvals = 0;
  private msToApproval = 0;

  count({ position, aggregate, type, event }: EventRecord): void {
    this.position = position;
    this.events += 1;
    this.eventsByType[type] = (this.eventsByType[type] ?? 0) + 1;
    if (event instanceof ApplicationSubmitted) this.submissions.set(aggregate.id, event);
    const submission = this.submissions.get(aggregate.id);
    if (!submission) return;

    if (type.startsWith(applicationEvent)) {
      const reached = (this.statesReached[type.slice(applicationEvent.length)] ??= {
        applications: 0,
        amount: 0,
      });
      reached.applications += 1;
      reached.amount += submission.amount;
    }
    if (event instanceof ApplicationApproved) {
      this.approvals += 1;
      this.msToApproval += event.at.getTime() - submission.at.getTime();
    }
  }

  /** Returns a copy that later records do not change. */
  toReport(): Report {
    const { position, events, eventsByType, statesReached, approvals, msToApproval } = this;
    return structuredClone({
      position,
      applications: this.submissions.size,
      amountRequested: statesReached['submitted']?.amount ?? 0,
      events,
      eventsByType,
      statesReached,
      meanHoursToApproval: approvals > 0 ? msToApproval / approvals / 3_600_000 : null,
    });
  }
}
