import type { EventStore } from 'nest-event-store';
import { ApplicationSubmitted } from '../applications/events/application.events.ts';
import type { Report } from '../reports/report.ts';
import { activityOf } from './activities.ts';
import type { LogRow } from './log-file.ts';

/** Numbers by name: applications, amount, events, and how many events of each type. */
export type Counts = Readonly<Record<string, number>>;

/** Counts what a log should record. */
export function countLog(log: ReadonlyMap<string, readonly LogRow[]>): Counts {
  const counts = { applications: log.size, amount: 0, events: 0 };
  for (const rows of log.values()) {
    counts.amount += rows[0]?.amount ?? 0;
    for (const row of rows) addEvent(counts, activityOf(row).eventType);
  }
  return counts;
}

/** Counts what is in the store by reading all of it. */
export async function countStore(store: EventStore): Promise<Counts> {
  const counts = { applications: 0, amount: 0, events: 0 };
  const applicationIds = new Set<string>();
  for await (const { aggregate, type, event } of store.stream()) {
    applicationIds.add(aggregate.id);
    if (event instanceof ApplicationSubmitted) counts.amount += event.amount;
    addEvent(counts, type);
  }
  return { ...counts, applications: applicationIds.size };
}

export function countReport(report: Report): Counts {
  const { applications, amountRequested: amount, events, eventsByType } = report;
  return { applications, amount, events, ...eventsByType };
}

function addEvent(counts: Record<string, number> & { events: number }, type: string): void {
  counts.events += 1;
  counts[type] = (counts[type] ?? 0) + 1;
}
