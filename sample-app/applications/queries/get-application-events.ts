import { type IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import { type EventMetadata, EventStore } from 'nest-event-store';

/** One thing that happened to an application. */
export interface ApplicationHistoryEntry {
  readonly version: number;
  readonly type: string;
  readonly event: object;
  readonly metadata: EventMetadata;
  readonly recordedAt: Date;
}

/** Asks for at most `limit` events of an application, from the one after version `after` on. */
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
    const { records } = await this.store.fetchByAggregate(
      { type: 'loan-application', id: applicationId },
      page.after,
      { limit: page.limit },
    );
    return records.map(({ version, type, event, metadata, recordedAt }) => ({
      version,
      type,
      event,
      metadata,
      recordedAt,
    }));
  }
}
