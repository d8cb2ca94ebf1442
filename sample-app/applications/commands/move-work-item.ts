import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { AggregateRepository, InjectAggregateRepository } from 'nest-event-store';
import { LoanApplication } from '../loan-application.ts';
import type { WorkItemKind, WorkItemStep } from '../work-items.ts';
import {
  ApplicationCommand,
  type CommandOptions,
  type VersionedApplication,
} from './application.command.ts';

/** Schedules, starts or completes a work item of an application. */
export class MoveWorkItem extends ApplicationCommand {
  constructor(
    applicationId: string,
    readonly step: WorkItemStep,
    readonly kind: WorkItemKind,
    options?: CommandOptions,
  ) {
    super(applicationId, options);
  }
}

@CommandHandler(MoveWorkItem)
export class MoveWorkItemHandler implements ICommandHandler<MoveWorkItem> {
  constructor(
    @InjectAggregateRepository(LoanApplication)
    private readonly applications: AggregateRepository<LoanApplication>,
  ) {}

  async execute(command: MoveWorkItem): Promise<VersionedApplication> {
    const { result, version } = await this.applications.execute(
      command.applicationId,
      (application) => {
        application.moveWorkItem(command.step, command.kind, command.at);
        return application.view;
      },
      { expectedVersion: command.expectedVersion },
    );
    return { ...result, version };
  }
}
