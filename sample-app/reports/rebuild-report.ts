import { setTimeout as delay } from 'node:timers/promises';
import type { INestApplicationContext } from '@nestjs/common';
import { Consumers } from 'nest-event-store';
import type { Report } from './report.ts';
import { Reports } from './reports.ts';

/** The result of a rebuild of the report. */
export interface ReportRebuild {
  readonly seconds: number;
  /** The answers of the old report while the new one was built. */
  readonly meanwhile: readonly Report[];
  readonly rebuilt: Report;
}

/**
 * Builds the report again from the whole log, while the old report stays in use.
 *
 * Calls `onProgress` after each tenth, with the percentage that is done. Resolves when the new report
 * has replaced the old one.
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
