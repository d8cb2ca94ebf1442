import type { INestApplicationContext } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { EventStore } from 'nest-event-store';
import { play, type Step } from '../playback/play.ts';
import { withProgress } from '../playback/with-progress.ts';
import { formatReport } from '../reports/format-report.ts';
import { ReportKeeper } from '../reports/report-keeper.ts';
import { activityOf } from './activities.ts';
import { countLog, countReport, countStore } from './counts.ts';
import { knownLog } from './known-log.ts';
import { type LogRow, readLog } from './log-file.ts';
import { printCounts } from './print-counts.ts';

/**
 * Replays a log file: every row is one command, which records one event.
 *
 * A row that was replayed before is not replayed again: an application at version 7 has its first
 * seven rows, so an interrupted replay goes on where it stopped.
 *
 * Returns whether the store, the report and the file agree in the end.
 */
export async function replayLog(
  app: INestApplicationContext,
  path: string,
  options: { readonly inFlight: number; readonly interruption: AbortSignal },
): Promise<boolean> {
  const store = app.get(EventStore);
  const log = await readLog(path);
  const expected = countLog(log);
  console.log(`${path}: ${expected['events']} rows of ${expected['applications']} applications.`);

  const versions = await versionsIn(store);
  const stranger = [...versions.keys()].find((id) => !log.has(id));
  if (stranger) {
    console.log(
      `The store holds applications that are not in the file, such as ${stranger}, so its counts ` +
        'could not agree. Replay into a store of its own: add --schema <name>.',
    );
    return false;
  }
  const replayed = [...versions.values()].reduce((sum, version) => sum + version, 0);
  if (replayed > 0) console.log(`${replayed} rows were replayed before and are left out.`);

  const remaining = (expected['events'] ?? 0) - replayed;
  if (remaining > 0) {
    const scripts = [...log].map(([id, rows]) => stepsAfter(versions.get(id) ?? 0, rows));
    await withProgress(remaining, (onStep) =>
      play(app.get(CommandBus), scripts, { ...options, onStep }),
    );
  }

  const report = await app.get(ReportKeeper).current();
  console.log(formatReport(report));
  const agree = printCounts({
    file: expected,
    store: await countStore(store),
    report: countReport(report),
    ...(expected['events'] === knownLog['events'] ? { known: knownLog } : {}),
  });
  console.log(agree ? 'All counts agree.' : 'The counts do not agree.');
  return agree;
}

async function versionsIn(store: EventStore): Promise<Map<string, number>> {
  const versions = new Map<string, number>();
  for await (const { aggregate, version } of store.stream()) versions.set(aggregate.id, version);
  return versions;
}

function* stepsAfter(version: number, rows: readonly LogRow[]): Generator<Step> {
  for (const [index, row] of rows.slice(version).entries()) {
    const options = { at: row.at, expectedVersion: version + index };
    yield { command: activityOf(row).command(row, options), actor: row.resource || undefined };
  }
}
