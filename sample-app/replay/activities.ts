import type {
  ApplicationCommand,
  CommandOptions,
} from '../applications/commands/application.command.ts';
import { CreateOffer } from '../applications/commands/create-offer.ts';
import { type PlainStep, MoveApplication } from '../applications/commands/move-application.ts';
import { MoveWorkItem } from '../applications/commands/move-work-item.ts';
import { SubmitApplication } from '../applications/commands/submit-application.ts';
import type { WorkItemKind } from '../applications/work-items.ts';
import type { LogRow } from './log-file.ts';

/** The meaning of one activity of the log: a command, and the event that the command records. */
interface Activity {
  readonly command: (row: LogRow, options: CommandOptions) => ApplicationCommand;
  readonly eventType: string;
}

function activity(step: PlainStep, eventType: string): Activity {
  return {
    command: ({ applicationId }, options) => new MoveApplication(applicationId, step, options),
    eventType,
  };
}

const activities: Record<string, Activity> = {
  A_SUBMITTED: {
    command: (row, options) => new SubmitApplication(row.applicationId, row.amount, options),
    eventType: 'loan-application.submitted',
  },
  A_PARTLYSUBMITTED: activity('partly-submit', 'loan-application.partly-submitted'),
  A_PREACCEPTED: activity('preaccept', 'loan-application.preaccepted'),
  A_ACCEPTED: activity('accept', 'loan-application.accepted'),
  A_FINALIZED: activity('finalize', 'loan-application.finalized'),
  A_APPROVED: activity('approve', 'loan-application.approved'),
  A_REGISTERED: activity('register', 'loan-application.registered'),
  A_ACTIVATED: activity('activate', 'loan-application.activated'),
  A_DECLINED: activity('decline', 'loan-application.declined'),
  A_CANCELLED: activity('cancel', 'loan-application.cancelled'),
  O_SELECTED: activity('offers/select', 'offer.selected'),
  O_CREATED: {
    command: (row, options) => new CreateOffer(row.applicationId, options),
    eventType: 'offer.created',
  },
  O_SENT: activity('offers/send', 'offer.sent'),
  O_SENT_BACK: activity('offers/send-back', 'offer.sent-back'),
  O_ACCEPTED: activity('offers/accept', 'offer.accepted'),
  O_DECLINED: activity('offers/decline', 'offer.declined'),
  O_CANCELLED: activity('offers/cancel', 'offer.cancelled'),
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
  SCHEDULE: ['schedule', 'work-item.scheduled'],
  START: ['start', 'work-item.started'],
  COMPLETE: ['complete', 'work-item.completed'],
} as const;

/** Returns the activity of a row of the log. Throws if the activity is unknown. */
export function activityOf(row: LogRow): Activity {
  const kind = workItemKinds[row.activity];
  if (kind) {
    const [step, eventType] = workItemSteps[row.lifecycle];
    return {
      command: ({ applicationId }, options) => new MoveWorkItem(applicationId, step, kind, options),
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
