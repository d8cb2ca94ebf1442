import type { DataSource } from 'typeorm';
import type { History } from '../../support/history/history.ts';
import { faultsOfHistory } from '../../support/history/history.faults.ts';
import { groupBy } from '../../support/history/group-by.ts';
import { faultsOf } from '../../support/ledger/ledger.faults.ts';
import { readHistory } from '../../support/ledger/ledger.history.ts';

/** What a trial has shown. */
export interface TrialReport {
  /** What is wrong, each kind with examples; empty if nothing is. */
  readonly faults: readonly string[];
  readonly acknowledged: number;
  readonly refused: number;
  /** Calls of which nobody heard the end, or heard that it is unknown. */
  readonly unknown: number;
  /** How often each error came. */
  readonly errors: Readonly<Record<string, number>>;
  readonly events: number;
  readonly recoveryMs: number | undefined;
}

interface Beside {
  /** Given if consumers ran, to look at what they did. */
  readonly dataSource: DataSource | undefined;
  readonly recoveryMs: number | undefined;
}

/** Checks what happened in a trial, and prints one line about it. */
export async function describeTrial(
  fault: string,
  history: History,
  { dataSource, recoveryMs }: Beside,
): Promise<TrialReport> {
  const kinds = groupBy(faultsOfHistory(history), ({ kind }) => kind);
  const ofConsumers = dataSource ? faultsOf(await readHistory(dataSource)) : [];
  const count = (outcome: string) =>
    history.attempts.filter((each) => each.outcome === outcome).length;
  const told = history.attempts.flatMap(({ error }) => (error ? [error.code ?? error.name] : []));
  const report = {
    faults: [
      ...[...kinds].map(([kind, each]) => `${each.length} × ${kind}: ${each[0]!.detail}`),
      ...ofConsumers.slice(0, 5),
    ],
    acknowledged: count('acknowledged'),
    refused: count('refused'),
    unknown: count('unknown'),
    errors: Object.fromEntries(
      [...groupBy(told, (code) => code)].map(([code, all]) => [code, all.length]),
    ),
    events: history.log.length,
    recoveryMs: recoveryMs === undefined ? undefined : Math.round(recoveryMs),
  };
  const number = (kind: string) => kinds.get(kind)?.length ?? 0;
  console.info(
    `${fault}: ${report.acknowledged} acknowledged, ${report.refused} refused, ` +
      `${report.unknown} unknown; ${report.events} events, ${number('lost')} lost, ` +
      `${number('event-twice')} doubled, ${number('skipped')} skipped; recovered in ` +
      `${report.recoveryMs ?? '–'} ms; ${JSON.stringify(report.errors)}`,
  );
  return report;
}
