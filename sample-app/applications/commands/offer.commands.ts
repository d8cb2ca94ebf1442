import { CommandHandler } from '@nestjs/cqrs';
import type { LoanApplication } from '../loan-application.ts';
import { ApplicationCommandHandler } from './application-command.handler.ts';
import { ApplicationCommand, type CommandOptions } from './application.command.ts';

export class SelectOffer extends ApplicationCommand {}

@CommandHandler(SelectOffer)
export class SelectOfferHandler extends ApplicationCommandHandler<SelectOffer> {
  decide(application: LoanApplication, { at }: SelectOffer): void {
    application.selectOffer(at);
  }
}

export interface CreateOfferOptions extends CommandOptions {
  /** A number that no other offer has. @default one that the desk makes */
  readonly number?: string | undefined;
}

export class CreateOffer extends ApplicationCommand {
  readonly number: string | undefined;

  constructor(applicationId: string, options: CreateOfferOptions = {}) {
    super(applicationId, options);
    this.number = options.number;
  }
}

@CommandHandler(CreateOffer)
export class CreateOfferHandler extends ApplicationCommandHandler<CreateOffer> {
  decide(application: LoanApplication, { number, at }: CreateOffer): void {
    application.createOffer(at, number);
  }
}

export class SendOffer extends ApplicationCommand {}

@CommandHandler(SendOffer)
export class SendOfferHandler extends ApplicationCommandHandler<SendOffer> {
  decide(application: LoanApplication, { at }: SendOffer): void {
    application.sendOffer(at);
  }
}

export class SendOfferBack extends ApplicationCommand {}

@CommandHandler(SendOfferBack)
export class SendOfferBackHandler extends ApplicationCommandHandler<SendOfferBack> {
  decide(application: LoanApplication, { at }: SendOfferBack): void {
    application.sendOfferBack(at);
  }
}

export class AcceptOffer extends ApplicationCommand {}

@CommandHandler(AcceptOffer)
export class AcceptOfferHandler extends ApplicationCommandHandler<AcceptOffer> {
  decide(application: LoanApplication, { at }: AcceptOffer): void {
    application.acceptOffer(at);
  }
}

export class DeclineOffer extends ApplicationCommand {}

@CommandHandler(DeclineOffer)
export class DeclineOfferHandler extends ApplicationCommandHandler<DeclineOffer> {
  decide(application: LoanApplication, { at }: DeclineOffer): void {
    application.declineOffer(at);
  }
}

export class CancelOffer extends ApplicationCommand {}

@CommandHandler(CancelOffer)
export class CancelOfferHandler extends ApplicationCommandHandler<CancelOffer> {
  decide(application: LoanApplication, { at }: CancelOffer): void {
    application.cancelOffer(at);
  }
}

/** Lets an offer expire, if it was not answered in time. */
export class ExpireOffer extends ApplicationCommand {}

@CommandHandler(ExpireOffer)
export class ExpireOfferHandler extends ApplicationCommandHandler<ExpireOffer> {
  decide(application: LoanApplication, { at }: ExpireOffer): void {
    application.expireOffer(at);
  }
}

export const offerCommandHandlers = [
  SelectOfferHandler,
  CreateOfferHandler,
  SendOfferHandler,
  SendOfferBackHandler,
  AcceptOfferHandler,
  DeclineOfferHandler,
  CancelOfferHandler,
  ExpireOfferHandler,
];
