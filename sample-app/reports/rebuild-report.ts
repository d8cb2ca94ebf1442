import { setTimeout as delay } from 'node:timers/promises';
import type { INestApplicationContext } from '@nestjs/common';
import { Consumers } from 'nest-event-store';
import type { Report } from './report.ts';
import { Reports } from './reports.ts';

/** How a rebuild of the report went. */
export interface ReportRebuild {
  readonly seconds: number;
  /** What the old report answered while the new one was built. */
  readonly meanwhile: readonly Report[];
  readonly rebuilt: Report;
}

/**
 * Builds the report again from the whole log, while the old one answers.
 *
 * Calls `onProgress` after each tenth, with the part that is done, in percent. Resolves when the new one
 * has taken the place of the old one.
 */
export async function rebuildReport(
  app: INestApplicationContext,
  onProgress: (percent: number) => void,
): Promise<ReportRebuild> {
  const consumers = app.get(Consumers);
  const reports = app.get(Reports);
  const startedAt = performance.now();
  const meanwhile: Report[] = [];
  let reported = 0;

  const generation = await consumers.rebuild('application-report');
  for (;;) {
    const report = await reports.current();
    const { consumers: all } = await consumers.list();
    const state = all.find(({ name }) => name === 'application-report');
    const seconds = (performance.now() - startedAt) / 1000;
    if (!state?.rebuild) return { seconds, meanwhile, rebuilt: await reports.current() };

    const stopped = state.partitions.find(
      (part) => part.generation === generation && part.status === 'stopped',
    );
    if (stopped) throw new Error(`The rebuild has stopped: ${stopped.error?.message}`);
    meanwhile.push(report);
    const percent = Math.round(100 * state.rebuild.progress);
    if (percent >= reported + 10) onProgress((reported = percent));
    await delay(100);
  }
}
