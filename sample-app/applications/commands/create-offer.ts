import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { AggregateRepository, InjectAggregateRepository } from 'nest-event-store';
import { LoanApplication } from '../loan-application.ts';
import {
  ApplicationCommand,
  type CommandOptions,
  type VersionedApplication,
} from './application.command.ts';

export interface CreateOfferOptions extends CommandOptions {
  /** A number that no other offer has. @default one that the desk makes */
  readonly number?: string | undefined;
}

/** Writes the selected offer of an application. */
export class CreateOffer extends ApplicationCommand {
  readonly number: string | undefined;

  constructor(applicationId: string, options: CreateOfferOptions = {}) {
    super(applicationId, options);
    this.number = options.number;
  }
}

/** Loads the application, lets it decide, and saves the decision. */
@CommandHandler(CreateOffer)
export class CreateOfferHandler implements ICommandHandler<CreateOffer> {
  constructor(
    @InjectAggregateRepository(LoanApplication)
    private readonly applications: AggregateRepository<LoanApplication>,
  ) {}

  async execute(command: CreateOffer): Promise<VersionedApplication> {
    const { result, version } = await this.applications.execute(
      command.applicationId,
      (application) => {
        application.createOffer(command.at, command.number);
        return application.view;
      },
      { expectedVersion: command.expectedVersion },
    );
    return { ...result, version };
  }
}
