import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { eventually } from '../support/eventually.ts';
import { type LedgerProcess, startLedger } from '../support/ledger/ledger.ts';
import { findingsOf } from '../support/ledger/ledger.findings.ts';
import { type LedgerHistory, readHistory, repetitions } from '../support/ledger/ledger.history.ts';
import { createLedgerTables } from '../support/ledger/ledger.tables.ts';
import { killAll } from '../support/processes.ts';
import { countFindings } from '../support/history/count-findings.ts';
import { tally } from '../support/tally.ts';
import { useDatabase } from '../support/use-store.ts';

/** Long enough that a process which is merely slow keeps its lease. */
const leaseMs = 2_000;
const account = { type: 'account', id: '1' };
const amounts = Array.from({ length: 10 }, (_, n) => n + 1);

const database = useDatabase();

describe('a consumer that another process takes over', () => {
  let dataSource: DataSource;
  let processes: LedgerProcess[];
  let acknowledged = 0;

  beforeAll(async () => {
    dataSource = await database.dataSource();
    await dataSource.query(createLedgerTables);
    const options = { url: database.url, leaseMs, pollIntervalMs: 100, timeoutMs: 300 };
    processes = await Promise.all([startLedger(options), startLedger(options)]);
  });
  afterAll(async () => {
    await killAll();
  });

  async function append({ call }: LedgerProcess): Promise<number> {
    const position = await call.append(account, amounts);
    acknowledged += 1;
    return position;
  }

  /** The process that holds a consumer, in the middle of a batch that it cannot finish yet. */
  async function inTheMiddleOfABatch(consumer: string) {
    const position = await append(processes[0]!);
    await processes[0]!.call.waitFor(consumer, position);
    const lease = (await readOwners(dataSource)).get(consumer)!;
    const isOwner = ({ pid }: LedgerProcess) => lease.owner.includes(`/${pid}/`);
    const [owner, other] = [processes.find(isOwner)!, processes.find((each) => !isOwner(each))!];
    await owner.call.closeGate(consumer);
    const next = await append(other);
    await owner.call.arrivedAtGate(consumer);
    return { owner, other, position: next };
  }

  async function giveLease(consumer: string, { pid }: LedgerProcess): Promise<void> {
    await dataSource.query(
      `UPDATE event_store.checkpoints SET fence = fence + 1, owner = (
         SELECT p.owner FROM event_store.consumer_processes AS p
         WHERE $1 = ANY (p.consumers) AND p.owner LIKE '%/' || $2::integer || '/%')
       WHERE consumer = $1`,
      [consumer, pid],
    );
  }

  /** Lets the former owner try to commit what it has, and waits until it has. */
  async function goOn(owner: LedgerProcess, consumer: string): Promise<void> {
    await owner.call.openGate(consumer);
    await eventually(async () => {
      const [{ open }] = await dataSource.query(
        `SELECT count(*)::int AS open FROM pg_stat_activity
         WHERE datname = current_database() AND state = 'idle in transaction'`,
      );
      return open === 0;
    });
    const position = await append(owner);
    await owner.call.waitFor(consumer, position);
  }

  function expectNothingWrong(history: LedgerHistory): void {
    const findings = findingsOf(history);
    tally('F15', { acknowledged, ...countFindings(findings) });
    acknowledged = 0;
    expect(findings).toEqual([]);
  }

  it('counts each event once, although the former owner wakes up and continues', async () => {
    const { owner, other, position } = await inTheMiddleOfABatch('journal');
    owner.freeze();
    await other.call.waitFor('journal', position);
    owner.thaw();
    await goOn(owner, 'journal');
    expectNothingWrong(await readHistory(dataSource));
  });

  it('counts each event once with two live owners, although the lease comes back', async () => {
    const { owner, other, position } = await inTheMiddleOfABatch('journal');
    // Simulates leases that run out while their owners are busy.
    await giveLease('journal', other);
    await other.call.waitFor('journal', position);
    await giveLease('journal', owner);
    await goOn(owner, 'journal');
    expectNothingWrong(await readHistory(dataSource));
  });

  it('continues, although the former owner is frozen while it holds row locks', async () => {
    const { owner, other, position } = await inTheMiddleOfABatch('balances');
    owner.freeze();
    await other.call.waitFor('balances', position);
    owner.thaw();
    await goOn(owner, 'balances');
    expectNothingWrong(await readHistory(dataSource));
  });

  it('repeats at most the one effect that a frozen handler was working on', async () => {
    const { owner, other, position } = await inTheMiddleOfABatch('letters');
    const before = repetitions(await readHistory(dataSource), 'letters');
    owner.freeze();
    await other.call.waitFor('letters', position);
    owner.thaw();
    await goOn(owner, 'letters');
    const history = await readHistory(dataSource);
    expectNothingWrong(history);
    expect(repetitions(history, 'letters')).toBe(before + 1);
  });

  it('is handed over at once by a process that shuts down in good order', async () => {
    const [leaving, staying] = processes as [LedgerProcess, LedgerProcess];
    await leaving.stop();
    await eventually(async () => {
      for (const { owner } of (await readOwners(dataSource)).values()) {
        expect(owner).toContain(`/${staying.pid}/`);
      }
      return true;
    });
    await staying.stop();
    for (const { owner } of (await readOwners(dataSource)).values()) expect(owner).toBeNull();
  });
});

async function readOwners(dataSource: DataSource) {
  const rows = (await dataSource.query(
    `SELECT consumer, owner FROM event_store.checkpoints WHERE consumer <> 'totals'`,
  )) as { consumer: string; owner: string }[];
  return new Map(rows.map((row) => [row.consumer, row]));
}
