import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { AggregateRepository, InjectAggregateRepository } from 'nest-event-store';
import { LoanApplication } from '../loan-application.ts';
import {
  ApplicationCommand,
  type CommandOptions,
  type VersionedApplication,
} from './application.command.ts';

/** The steps that need only their time; the steps `offers/…` concern the offer. */
export const plainSteps = {
  'partly-submit': (application, at) => application.partlySubmit(at),
  preaccept: (application, at) => application.preaccept(at),
  accept: (application, at) => application.accept(at),
  finalize: (application, at) => application.finalize(at),
  approve: (application, at) => application.approve(at),
  register: (application, at) => application.register(at),
  activate: (application, at) => application.activate(at),
  decline: (application, at) => application.decline(at),
  cancel: (application, at) => application.cancel(at),
  'cancel-unanswered': (application, at) => application.cancelUnanswered(at),
  'offers/select': (application, at) => application.selectOffer(at),
  'offers/send': (application, at) => application.sendOffer(at),
  'offers/send-back': (application, at) => application.sendOfferBack(at),
  'offers/accept': (application, at) => application.acceptOffer(at),
  'offers/decline': (application, at) => application.declineOffer(at),
  'offers/cancel': (application, at) => application.cancelOffer(at),
  'offers/expire': (application, at) => application.expireOffer(at),
} satisfies Record<string, (application: LoanApplication, at: Date) => void>;

export type PlainStep = keyof typeof plainSteps;

/** Takes one step with an application or its offer. */
export class MoveApplication extends ApplicationCommand {
  constructor(
    applicationId: string,
    readonly step: PlainStep,
    options?: CommandOptions,
  ) {
    super(applicationId, options);
  }
}

@CommandHandler(MoveApplication)
export class MoveApplicationHandler implements ICommandHandler<MoveApplication> {
  constructor(
    @InjectAggregateRepository(LoanApplication)
    private readonly applications: AggregateRepository<LoanApplication>,
  ) {}

  async execute(command: MoveApplication): Promise<VersionedApplication> {
    const { result, version } = await this.applications.execute(
      command.applicationId,
      (application) => {
        plainSteps[command.step](application, command.at);
        return application.view;
      },
      { expectedVersion: command.expectedVersion },
    );
    return { ...result, version };
  }
}
