import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { CommandBus } from '@nestjs/cqrs';
import { EventStore } from 'nest-event-store';
import { GeneratedApplication } from './demo/generated-application.ts';
import { randomFrom } from './demo/random.ts';
import { showConflict, showIdempotentRetry, showSnapshotLoad } from './demo/scenes.ts';
import { play } from './playback/playback.ts';
import { withProgress } from './playback/with-progress.ts';
import { formatReport } from './reports/format-report.ts';
import { ReportKeeper } from './reports/report-keeper.ts';
import { startLoanDesk } from './start-loan-desk.ts';

const { values } = parseArgs({
  options: {
    applications: { type: 'string', default: '2000' },
    seed: { type: 'string', default: '2012' },
    schema: { type: 'string', default: 'loan_desk_demo' },
  },
});

const { app, url, stop } = await startLoanDesk({ schema: values.schema, port: 0 });
try {
  // Ids differ from run to run, so that the demo can be run again on the same store.
  const run = randomUUID().slice(0, 8);
  const random = randomFrom(Number(values.seed));
  const applications = Array.from(
    { length: Number(values.applications) },
    (_, index) =>
      new GeneratedApplication(
        `demo-${run}-${index + 1}`,
        new Date(Date.UTC(2026, 0, 1) + index * 600_000),
        random,
      ),
  );
  const total = applications.reduce((sum, { steps }) => sum + steps.length, 0);
  console.log(
    `The loan desk listens at ${url} and plays ${applications.length} applications, ` +
      `256 at once, seed ${values.seed}.`,
  );

  const scripts = applications.map(({ steps }) => steps);
  await withProgress(total, (onStep) =>
    play(app.get(CommandBus), scripts, { inFlight: 256, onStep }),
  );
  console.log(formatReport(await app.get(ReportKeeper).current()));

  await showConflict(url);
  const longest = applications.reduce((a, b) => (b.steps.length > a.steps.length ? b : a));
  await showSnapshotLoad(app.get(EventStore), longest.id);
  await showIdempotentRetry(url);
  console.log(`\nnpm start -- --schema ${values.schema} serves what the demo recorded.`);
} finally {
  await stop();
}
