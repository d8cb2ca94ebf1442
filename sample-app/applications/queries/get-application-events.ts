import { type IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import { AggregateNotFoundError, type EventMetadata, EventStore } from 'nest-event-store';
import { LoanApplication } from '../loan-application.ts';

/** One event in the history of an application. */
export interface ApplicationHistoryEntry {
  readonly version: number;
  readonly type: string;
  readonly event: object;
  readonly metadata: EventMetadata;
  readonly recordedAt: Date;
}

/** Reads at most `limit` events of an application, strictly after the version `after`. */
export class GetApplicationEvents extends Query<ApplicationHistoryEntry[]> {
  constructor(
    readonly applicationId: string,
    readonly page: { readonly after: number; readonly limit: number },
  ) {
    super();
  }
}

@QueryHandler(GetApplicationEvents)
export class GetApplicationEventsHandler implements IQueryHandler<GetApplicationEvents> {
  constructor(private readonly store: EventStore) {}

  async execute({ applicationId, page }: GetApplicationEvents): Promise<ApplicationHistoryEntry[]> {
    const aggregate = LoanApplication.ref(applicationId);
    const { version: reached, records } = await this.store.fetchByAggregate(aggregate, page.after, {
      limit: page.limit,
    });
    if (reached === 0) throw new AggregateNotFoundError(aggregate);
    return records.map(({ version, type, event, metadata, recordedAt }) => ({
      version,
      type,
      event,
      metadata,
      recordedAt,
    }));
  }
}
