import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { CommandBus } from '@nestjs/cqrs';
import { EventStore } from 'nest-event-store';
import { z } from 'zod';
import { GeneratedApplication } from './demo/generated-application.ts';
import { randomFrom } from './demo/random.ts';
import { showRebuild, showUnansweredOffer } from './demo/reaction-scenes.ts';
import { showConflict, showIdempotentRetry, showSnapshotLoad } from './demo/scenes.ts';
import { untilCaughtUp } from './playback/caught-up.ts';
import { play } from './playback/play.ts';
import { withProgress } from './playback/with-progress.ts';
import { formatReport } from './reports/format-report.ts';
import { Reports } from './reports/reports.ts';
import { runOnLoanDesk } from './run-on-loan-desk.ts';

const { values } = parseArgs({
  options: {
    applications: { type: 'string', default: '2000' },
    seed: { type: 'string', default: '2012' },
    schema: { type: 'string', default: 'loan_desk_demo' },
  },
});
const count = z.coerce.number().int().min(1).parse(values.applications);
const seed = z.coerce.number().int().parse(values.seed);

await runOnLoanDesk(values.schema, async (desk, interruption) => {
  const { app, url } = desk;
  // Every run uses new ids, so that the demo can run again on the same store.
  const run = randomUUID().slice(0, 8);
  const random = randomFrom(seed);
  const applications = Array.from(
    { length: count },
    (_, index) =>
      new GeneratedApplication(
        `demo-${run}-${index + 1}`,
        new Date(Date.UTC(2026, 0, 1) + index * 600_000),
        random,
      ),
  );
  console.log(
    `The loan desk listens at ${url} and plays ${applications.length} applications, ` +
      `256 at once, seed ${seed}.`,
  );

  const scripts = applications.map(({ steps }) => steps);
  const total = scripts.reduce((sum, steps) => sum + steps.length, 0);
  await withProgress(total, (onStep) =>
    play(app.get(CommandBus), scripts, { inFlight: 256, onStep, interruption }),
  );
  const seconds = await untilCaughtUp(app);
  console.log(`All projections and letters caught up within ${seconds.toFixed(1)} s.`);
  console.log(formatReport(await app.get(Reports).current()));

  await showConflict(url);
  const longest = applications.reduce((a, b) => (b.steps.length > a.steps.length ? b : a));
  await showSnapshotLoad(app.get(EventStore), longest.id);
  await showIdempotentRetry(url);
  await showUnansweredOffer(desk);
  await showRebuild(app);
  console.log(`\nnpm start -- --schema ${values.schema} serves what the demo recorded.`);
  return true;
});
