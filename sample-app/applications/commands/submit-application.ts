import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { EventData, EventStore } from 'nest-event-store';
import { LoanApplication } from '../loan-application.ts';
import {
  ApplicationCommand,
  type CommandOptions,
  type VersionedApplication,
} from './application.command.ts';

export interface SubmitOptions extends CommandOptions {
  /** A UUID for the event: the same submission again, with the same id, is recorded once. */
  readonly eventId?: string;
}

export class SubmitApplication extends ApplicationCommand {
  readonly eventId: string | undefined;

  /** `amount` is in euro. */
  constructor(
    applicationId: string,
    readonly amount: number,
    options: SubmitOptions = {},
  ) {
    super(applicationId, options);
    this.eventId = options.eventId;
  }
}

/** Appends through the store, not the repository, to give the event the caller's id. */
@CommandHandler(SubmitApplication)
export class SubmitApplicationHandler implements ICommandHandler<SubmitApplication> {
  constructor(private readonly store: EventStore) {}

  async execute(command: SubmitApplication): Promise<VersionedApplication> {
    const application = new LoanApplication(command.applicationId);
    application.submit(command.amount, command.at);
    const { version } = await this.store.append(
      LoanApplication.ref(command.applicationId),
      application
        .getUncommittedEvents()
        .map((event) => new EventData(event, { id: command.eventId })),
      { expectedVersion: 'no_stream' },
    );
    return { ...application.view, version };
  }
}
