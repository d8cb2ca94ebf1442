import assert from 'node:assert/strict';
import type { INestApplicationContext } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { EventStore } from 'nest-event-store';
import { play, type Step } from '../playback/play.ts';
import { untilCaughtUp } from '../playback/caught-up.ts';
import { withProgress } from '../playback/with-progress.ts';
import { formatReport } from '../reports/format-report.ts';
import { rebuildReport } from '../reports/rebuild-report.ts';
import type { Report } from '../reports/report.ts';
import { Reports } from '../reports/reports.ts';
import { activityOf } from './activities.ts';
import { type Counts, countLog, countReport, countStore } from './counts.ts';
import { knownLog } from './known-log.ts';
import { type LogRow, readLog } from './log-file.ts';
import { printCounts } from './print-counts.ts';

export interface ReplayOptions {
  /** How many applications are worked on at the same time. */
  readonly inFlight: number;
  readonly interruption: AbortSignal;
  /** Whether to rebuild the report twice at the end. */
  readonly rebuild: boolean;
}

/**
 * Replays a log file: every row is one command, which records one event.
 *
 * A row that was already replayed is skipped: an application at version 7 has its first seven rows, so
 * an interrupted replay continues where it stopped.
 *
 * Returns whether the store, the report and the file agree at the end. With `rebuild`, the report must
 * also agree after each of two rebuilds, and in all its answers during them.
 */
export async function replayLog(
  app: INestApplicationContext,
  path: string,
  { rebuild, ...options }: ReplayOptions,
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

  const seconds = await untilCaughtUp(app);
  console.log(`All projections and letters caught up within ${seconds.toFixed(1)} s.`);
  const report = await app.get(Reports).current();
  console.log(formatReport(report));
  const agree = printCounts({
    file: expected,
    store: await countStore(store),
    report: countReport(report),
    ...(rebuild ? await rebuildTwice(app, report) : {}),
    ...(expected['events'] === knownLog['events'] ? { known: knownLog } : {}),
  });
  console.log(agree ? 'All counts agree.' : 'The counts do not agree.');
  return agree;
}

/** Throws if the report in use gave another answer while a new one was built. */
async function rebuildTwice(
  app: INestApplicationContext,
  before: Report,
): Promise<Record<string, Counts>> {
  const counts: Record<string, Counts> = {};
  for (const name of ['rebuilt', 'rebuilt again']) {
    const { rebuilt, meanwhile, seconds } = await rebuildReport(app, (percent) =>
      console.log(`  ${percent} % is built, and the old report answers`),
    );
    for (const answer of meanwhile) assert.deepEqual(answer, before);
    console.log(
      `Report ${name} in ${seconds.toFixed(1)} s; meanwhile the old one answered ` +
        `${meanwhile.length} times, always the same.`,
    );
    counts[name] = countReport(rebuilt);
  }
  return counts;
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
