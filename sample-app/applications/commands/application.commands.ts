import { CommandHandler } from '@nestjs/cqrs';
import type { LoanApplication } from '../loan-application.ts';
import { ApplicationCommandHandler } from './application-command.handler.ts';
import { ApplicationCommand } from './application.command.ts';

export class PartlySubmitApplication extends ApplicationCommand {}

@CommandHandler(PartlySubmitApplication)
export class PartlySubmitApplicationHandler extends ApplicationCommandHandler<PartlySubmitApplication> {
  decide(application: LoanApplication, { at }: PartlySubmitApplication): void {
    application.partlySubmit(at);
  }
}

export class PreacceptApplication extends ApplicationCommand {}

@CommandHandler(PreacceptApplication)
export class PreacceptApplicationHandler extends ApplicationCommandHandler<PreacceptApplication> {
  decide(application: LoanApplication, { at }: PreacceptApplication): void {
    application.preaccept(at);
  }
}

export class AcceptApplication extends ApplicationCommand {}

@CommandHandler(AcceptApplication)
export class AcceptApplicationHandler extends ApplicationCommandHandler<AcceptApplication> {
  decide(application: LoanApplication, { at }: AcceptApplication): void {
    application.accept(at);
  }
}

export class FinalizeApplication extends ApplicationCommand {}

@CommandHandler(FinalizeApplication)
export class FinalizeApplicationHandler extends ApplicationCommandHandler<FinalizeApplication> {
  decide(application: LoanApplication, { at }: FinalizeApplication): void {
    application.finalize(at);
  }
}

export class ApproveApplication extends ApplicationCommand {}

@CommandHandler(ApproveApplication)
export class ApproveApplicationHandler extends ApplicationCommandHandler<ApproveApplication> {
  decide(application: LoanApplication, { at }: ApproveApplication): void {
    application.approve(at);
  }
}

export class RegisterApplication extends ApplicationCommand {}

@CommandHandler(RegisterApplication)
export class RegisterApplicationHandler extends ApplicationCommandHandler<RegisterApplication> {
  decide(application: LoanApplication, { at }: RegisterApplication): void {
    application.register(at);
  }
}

export class ActivateApplication extends ApplicationCommand {}

@CommandHandler(ActivateApplication)
export class ActivateApplicationHandler extends ApplicationCommandHandler<ActivateApplication> {
  decide(application: LoanApplication, { at }: ActivateApplication): void {
    application.activate(at);
  }
}

export class DeclineApplication extends ApplicationCommand {}

@CommandHandler(DeclineApplication)
export class DeclineApplicationHandler extends ApplicationCommandHandler<DeclineApplication> {
  decide(application: LoanApplication, { at }: DeclineApplication): void {
    application.decline(at);
  }
}

export class CancelApplication extends ApplicationCommand {}

@CommandHandler(CancelApplication)
export class CancelApplicationHandler extends ApplicationCommandHandler<CancelApplication> {
  decide(application: LoanApplication, { at }: CancelApplication): void {
    application.cancel(at);
  }
}

/** Gives up an application whose offer has expired, unless somebody went on with it. */
export class CancelUnansweredApplication extends ApplicationCommand {}

@CommandHandler(CancelUnansweredApplication)
export class CancelUnansweredApplicationHandler extends ApplicationCommandHandler<CancelUnansweredApplication> {
  decide(application: LoanApplication, { at }: CancelUnansweredApplication): void {
    application.cancelUnanswered(at);
  }
}

export const applicationCommandHandlers = [
  PartlySubmitApplicationHandler,
  PreacceptApplicationHandler,
  AcceptApplicationHandler,
  FinalizeApplicationHandler,
  ApproveApplicationHandler,
  RegisterApplicationHandler,
  ActivateApplicationHandler,
  DeclineApplicationHandler,
  CancelApplicationHandler,
  CancelUnansweredApplicationHandler,
];
