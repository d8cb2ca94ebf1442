import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import type { ApplicationCommand } from '../../sample-app/applications/commands/application.command.ts';
import { CreateOffer } from '../../sample-app/applications/commands/create-offer.ts';
import {
  plainSteps,
  MoveApplication,
} from '../../sample-app/applications/commands/move-application.ts';
import { MoveWorkItem } from '../../sample-app/applications/commands/move-work-item.ts';
import { SubmitApplication } from '../../sample-app/applications/commands/submit-application.ts';
import { LoanApplication } from '../../sample-app/applications/loan-application.ts';
import { activityOf } from '../../sample-app/replay/activities.ts';
import { knownLog } from '../../sample-app/replay/known-log.ts';
import { readLog } from '../../sample-app/replay/log-file.ts';

const realLog = fileURLToPath(
  new URL('../../../shared/data/loan-applications.csv.gz', import.meta.url),
);
const whereTheLogIs = existsSync(realLog) ? it : it.skip;

describe('the rules of the sample', () => {
  if (!existsSync(realLog)) console.info(`Skipped: there is no real log at ${realLog}.`);

  whereTheLogIs('accept every application of the real log, an event a row', async () => {
    let events = 0;
    for (const [id, rows] of await readLog(realLog)) {
      const application = new LoanApplication(id);
      for (const row of rows) {
        decide(application, activityOf(row).command(row, { at: row.at }));
      }
      events += application.getUncommittedEvents().length;
    }
    expect(events).toBe(knownLog['events']);
  });

  function decide(application: LoanApplication, command: ApplicationCommand): void {
    const { at } = command;
    if (command instanceof SubmitApplication) application.submit(command.amount, at);
    else if (command instanceof CreateOffer) application.createOffer(at, command.number);
    else if (command instanceof MoveWorkItem) {
      application.moveWorkItem(command.step, command.kind, at);
    } else if (command instanceof MoveApplication) plainSteps[command.step](application, at);
  }
});
