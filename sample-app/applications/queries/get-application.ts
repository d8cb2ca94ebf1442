import { type IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import { AggregateRepository, InjectAggregateRepository } from 'nest-event-store';
import type { VersionedApplication } from '../commands/application.command.ts';
import { LoanApplication } from '../loan-application.ts';

export class GetApplication extends Query<VersionedApplication> {
  constructor(readonly applicationId: string) {
    super();
  }
}

@QueryHandler(GetApplication)
export class GetApplicationHandler implements IQueryHandler<GetApplication> {
  constructor(
    @InjectAggregateRepository(LoanApplication)
    private readonly applications: AggregateRepository<LoanApplication>,
  ) {}

  async execute({ applicationId }: GetApplication): Promise<VersionedApplication> {
    const application = await this.applications.load(applicationId);
    return { ...application.view, version: this.applications.versionOf(application) };
  }
}
