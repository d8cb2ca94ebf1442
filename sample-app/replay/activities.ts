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
} from '../applications/commands/application.commands.ts';
import type {
  ApplicationCommand,
  CommandOptions,
} from '../applications/commands/application.command.ts';
import {
  AcceptOffer,
  CancelOffer,
  CreateOffer,
  DeclineOffer,
  SelectOffer,
  SendOffer,
  SendOfferBack,
} from '../applications/commands/offer.commands.ts';
import { SubmitApplication } from '../applications/commands/submit-application.ts';
import {
  CompleteWorkItem,
  ScheduleWorkItem,
  StartWorkItem,
} from '../applications/commands/work-item.commands.ts';
import type { WorkItemKind } from '../applications/work-items.ts';
import type { LogRow } from './log-file.ts';

/** What one activity of the log becomes: a command, and the event that the command records. */
interface Activity {
  readonly command: (row: LogRow, options: CommandOptions) => ApplicationCommand;
  readonly eventType: string;
}

type CommandClass = new (applicationId: string, options: CommandOptions) => ApplicationCommand;

function activity(Command: CommandClass, eventType: string): Activity {
  return { command: (row, options) => new Command(row.applicationId, options), eventType };
}

const activities: Record<string, Activity> = {
  A_SUBMITTED: {
    command: (row, options) => new SubmitApplication(row.applicationId, row.amount, options),
    eventType: 'loan-application.submitted',
  },
  A_PARTLYSUBMITTED: activity(PartlySubmitApplication, 'loan-application.partly-submitted'),
  A_PREACCEPTED: activity(PreacceptApplication, 'loan-application.preaccepted'),
  A_ACCEPTED: activity(AcceptApplication, 'loan-application.accepted'),
  A_FINALIZED: activity(FinalizeApplication, 'loan-application.finalized'),
  A_APPROVED: activity(ApproveApplication, 'loan-application.approved'),
  A_REGISTERED: activity(RegisterApplication, 'loan-application.registered'),
  A_ACTIVATED: activity(ActivateApplication, 'loan-application.activated'),
  A_DECLINED: activity(DeclineApplication, 'loan-application.declined'),
  A_CANCELLED: activity(CancelApplication, 'loan-application.cancelled'),
  O_SELECTED: activity(SelectOffer, 'offer.selected'),
  O_CREATED: activity(CreateOffer, 'offer.created'),
  O_SENT: activity(SendOffer, 'offer.sent'),
  O_SENT_BACK: activity(SendOfferBack, 'offer.sent-back'),
  O_ACCEPTED: activity(AcceptOffer, 'offer.accepted'),
  O_DECLINED: activity(DeclineOffer, 'offer.declined'),
  O_CANCELLED: activity(CancelOffer, 'offer.cancelled'),
};

const workItemKinds: Record<string, WorkItemKind> = {
  'W_Afhandelen leads': 'handle-lead',
  'W_Beoordelen fraude': 'assess-fraud',
  'W_Completeren aanvraag': 'complete-application',
  'W_Nabellen incomplete dossiers': 'follow-up-incomplete-file',
  'W_Nabellen offertes': 'follow-up-offer',
  'W_Valideren aanvraag': 'validate-application',
  'W_Wijzigen contractgegevens': 'change-contract',
};

const workItemSteps = {
  SCHEDULE: [ScheduleWorkItem, 'work-item.scheduled'],
  START: [StartWorkItem, 'work-item.started'],
  COMPLETE: [CompleteWorkItem, 'work-item.completed'],
} as const;

/** Returns what a row of the log becomes. Throws if the log has an activity that is not known. */
export function activityOf(row: LogRow): Activity {
  const kind = workItemKinds[row.activity];
  if (kind) {
    const [Command, eventType] = workItemSteps[row.lifecycle];
    return {
      command: ({ applicationId }, options) => new Command(applicationId, kind, options),
      eventType,
    };
  }
  const known = activities[row.activity];
  if (!known) {
    throw new Error(
      `Activity ${row.activity} of application ${row.applicationId} is not known: replay reads ` +
        'logs with the activities of the BPI Challenge 2012.',
    );
  }
  return known;
}
