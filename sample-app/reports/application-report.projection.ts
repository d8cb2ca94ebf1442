import {
  type EventRecord,
  type GenerationHooks,
  type GenerationScope,
  OnBatch,
  Projection,
  type ProjectionContext,
} from 'nest-event-store';
import {
  ApplicationApproved,
  applicationEvents,
  ApplicationSubmitted,
} from '../applications/events/application.events.ts';
import { offerEvents } from '../applications/events/offer.events.ts';
import { workItemEvents } from '../applications/events/work-item.events.ts';
import {
  approveApplications,
  countEvents,
  createReportTables,
  dropReportTables,
  insertApplications,
  showReportTables,
} from './report-tables.ts';

/** Counts the events of all applications, with three statements for a batch of any size. */
@Projection('application-report')
export class ApplicationReport implements GenerationHooks {
  @OnBatch(...applicationEvents, ...offerEvents, ...workItemEvents)
  async count(
    records: readonly EventRecord[],
    { manager, generation }: ProjectionContext,
  ): Promise<void> {
    const submitted: [ids: string[], amounts: number[], times: Date[]] = [[], [], []];
    const approved: [ids: string[], times: Date[]] = [[], []];
    for (const { aggregate, event } of records) {
      if (event instanceof ApplicationSubmitted) {
        submitted[0].push(aggregate.id);
        submitted[1].push(event.amount);
        submitted[2].push(event.at);
      } else if (event instanceof ApplicationApproved) {
        approved[0].push(aggregate.id);
        approved[1].push(event.at);
      }
    }
    await manager.query(insertApplications(generation), submitted);
    await manager.query(approveApplications(generation), approved);
    await manager.query(countEvents(generation), [
      records.map(({ type }) => type),
      records.map(({ aggregate }) => aggregate.id),
      records.map(({ position }) => position),
    ]);
  }

  async prepare({ generation, manager }: GenerationScope): Promise<void> {
    await manager.query(createReportTables(generation));
  }

  async activate({ generation, manager }: GenerationScope): Promise<void> {
    await manager.query(showReportTables(generation));
  }

  async discard({ generation, manager }: GenerationScope): Promise<void> {
    await manager.query(dropReportTables(generation));
  }
}
