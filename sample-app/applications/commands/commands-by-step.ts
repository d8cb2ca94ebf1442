import {
  AcceptApplication,
  ActivateApplication,
  ApproveApplication,
  CancelApplication,
  DeclineApplication,
  FinalizeApplication,
  PartlySubmitApplication,
  PreacceptApplication,
  RegisterApplication,
} from './application.commands.ts';
import {
  AcceptOffer,
  CancelOffer,
  DeclineOffer,
  SelectOffer,
  SendOffer,
  SendOfferBack,
} from './offer.commands.ts';
import { CompleteWorkItem, ScheduleWorkItem, StartWorkItem } from './work-item.commands.ts';

/** The commands by their names in a URL, as in `POST /applications/42/approve`. */
export const applicationCommands = {
  'partly-submit': PartlySubmitApplication,
  preaccept: PreacceptApplication,
  accept: AcceptApplication,
  finalize: FinalizeApplication,
  approve: ApproveApplication,
  register: RegisterApplication,
  activate: ActivateApplication,
  decline: DeclineApplication,
  cancel: CancelApplication,
};

export const offerCommands = {
  select: SelectOffer,
  send: SendOffer,
  'send-back': SendOfferBack,
  accept: AcceptOffer,
  decline: DeclineOffer,
  cancel: CancelOffer,
};

export const workItemCommands = {
  schedule: ScheduleWorkItem,
  start: StartWorkItem,
  complete: CompleteWorkItem,
};

export type ApplicationStep = keyof typeof applicationCommands;
export type OfferStep = keyof typeof offerCommands;
export type WorkItemStep = keyof typeof workItemCommands;
