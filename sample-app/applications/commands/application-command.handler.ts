import { AggregateRepository, InjectAggregateRepository } from 'nest-event-store';
import { LoanApplication } from '../loan-application.ts';
import type { ApplicationCommand, VersionedApplication } from './application.command.ts';

/** What all handlers of application commands do: load, let the application decide, save. */
export abstract class ApplicationCommandHandler<C extends ApplicationCommand> {
  constructor(
    @InjectAggregateRepository(LoanApplication)
    private readonly applications: AggregateRepository<LoanApplication>,
  ) {}

  async execute(command: C): Promise<VersionedApplication> {
    const { result, version } = await this.applications.execute(
      command.applicationId,
      (application) => {
        this.decide(application, command);
        return application.view;
      },
      { expectedVersion: command.expectedVersion },
    );
    return { ...result, version };
  }

  /** Does to the application what the command asks for. */
  abstract decide(application: LoanApplication, command: C): void;
}
