import type { DataSource } from 'typeorm';
import type { History } from '../../support/history/history.ts';
import { findingsOfHistory } from '../../support/history/history.findings.ts';
import { groupBy } from '../../support/history/group-by.ts';
import { findingsOf } from '../../support/ledger/ledger.findings.ts';
import { readHistory } from '../../support/ledger/ledger.history.ts';
import { countFindings } from '../../support/history/count-findings.ts';

/** The result of a trial. */
export interface TrialReport {
  /** What is wrong, each kind with examples; empty if nothing is. */
  readonly findings: readonly string[];
  /** How often all writers had to recover. */
  readonly runs: number;
  readonly acknowledged: number;
  readonly refused: number;
  /** Calls without an answer, or with an unknown outcome. */
  readonly unknown: number;
  /** How often each error came. */
  readonly errors: Readonly<Record<string, number>>;
  readonly events: number;
  readonly lost: number;
  readonly doubled: number;
  readonly skipped: number;
  /** Of the recovery that took longest. */
  readonly recoveryMs: number | undefined;
}

interface Beside {
  /** Given if consumers ran, to check what they did. */
  readonly dataSource: DataSource | undefined;
  /** How long each recovery took, until every writer was answered again. */
  readonly recoveriesMs: readonly number[];
}

/** Checks what happened in a trial, and prints one line about it. */
export async function describeTrial(
  fault: string,
  history: History,
  { dataSource, recoveriesMs }: Beside,
): Promise<TrialReport> {
  const findings = [
    ...findingsOfHistory(history),
    ...(dataSource ? findingsOf(await readHistory(dataSource)) : []),
  ];
  const kinds = groupBy(findings, ({ kind }) => kind);
  const count = (outcome: string) =>
    history.attempts.filter((each) => each.outcome === outcome).length;
  const codes = history.attempts.flatMap(({ error }) => (error ? [error.code ?? error.name] : []));
  const report = {
    findings: [...kinds].map(([kind, each]) => `${each.length} × ${kind}: ${each[0]!.detail}`),
    runs: recoveriesMs.length,
    acknowledged: count('acknowledged'),
    refused: count('refused'),
    unknown: count('unknown'),
    errors: Object.fromEntries(
      [...groupBy(codes, (code) => code)].map(([code, all]) => [code, all.length]),
    ),
    events: history.log.length,
    ...countFindings(findings),
    recoveryMs: recoveriesMs.length > 0 ? Math.round(Math.max(...recoveriesMs)) : undefined,
  };
  console.info(
    `${fault}: ${report.acknowledged} acknowledged, ${report.refused} refused, ` +
      `${report.unknown} unknown; ${report.events} events, ${report.lost} lost, ` +
      `${report.doubled} doubled, ${report.skipped} skipped; recovered in ` +
      `${report.recoveryMs ?? '–'} ms; ${JSON.stringify(report.errors)}`,
  );
  return report;
}
