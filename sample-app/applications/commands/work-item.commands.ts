import { CommandHandler } from '@nestjs/cqrs';
import type { LoanApplication } from '../loan-application.ts';
import type { WorkItemKind } from '../work-items.ts';
import { ApplicationCommandHandler } from './application-command.handler.ts';
import { ApplicationCommand, type CommandOptions } from './application.command.ts';

abstract class WorkItemCommand extends ApplicationCommand {
  constructor(
    applicationId: string,
    readonly kind: WorkItemKind,
    options?: CommandOptions,
  ) {
    super(applicationId, options);
  }
}

export class ScheduleWorkItem extends WorkItemCommand {}

@CommandHandler(ScheduleWorkItem)
export class ScheduleWorkItemHandler extends ApplicationCommandHandler<ScheduleWorkItem> {
  decide(application: LoanApplication, { kind, at }: ScheduleWorkItem): void {
    application.scheduleWorkItem(kind, at);
  }
}

export class StartWorkItem extends WorkItemCommand {}

@CommandHandler(StartWorkItem)
export class StartWorkItemHandler extends ApplicationCommandHandler<StartWorkItem> {
  decide(application: LoanApplication, { kind, at }: StartWorkItem): void {
    application.startWorkItem(kind, at);
  }
}

export class CompleteWorkItem extends WorkItemCommand {}

@CommandHandler(CompleteWorkItem)
export class CompleteWorkItemHandler extends ApplicationCommandHandler<CompleteWorkItem> {
  decide(application: LoanApplication, { kind, at }: CompleteWorkItem): void {
    application.completeWorkItem(kind, at);
  }
}

export const workItemCommandHandlers = [
  ScheduleWorkItemHandler,
  StartWorkItemHandler,
  CompleteWorkItemHandler,
];
