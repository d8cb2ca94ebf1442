import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { DataSource } from 'typeorm';
import { eventually } from '../../support/eventually.ts';
import { readJournal, now } from '../../support/history/journal.ts';
import type { History } from '../../support/history/history.ts';
import { createLedgerTables } from '../../support/ledger/ledger.tables.ts';
import { type LedgerProcess, startLedger } from '../../support/ledger/ledger.ts';
import type { LedgerProcessOptions } from '../../support/ledger/ledger.process.ts';
import {
  type OwnServer,
  type OwnServerOptions,
  type Standby,
  startOwnServer,
} from '../../support/own-server.ts';
import { type Random, random } from '../../support/random.ts';
import { startProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { describeTrial, type TrialReport } from './trial-report.ts';
import { readLog } from './stored-log.ts';

export interface TrialOptions {
  readonly seed: number;
  /** @default 2 */
  readonly applications?: number;
  /** Of each application. @default 5 */
  readonly writers?: number;
  /** The longest pause of a writer. @default 10 */
  readonly pauseMs?: number;
  /** Whether the applications run projections and handlers too. @default false */
  readonly consumers?: boolean;
  /** Whether other code of the applications misuses their connections. @default false */
  readonly hasGuests?: boolean;
  /** Whether the applications connect to the server through a proxy. @default false */
  readonly proxied?: boolean;
  readonly server?: OwnServerOptions;
  readonly application?: Partial<LedgerProcessOptions>;
  /** By how much the clock of each application is wrong. @default not at all */
  readonly clockOffsetsMs?: readonly number[];
}

/** One application, which may be killed and started again. */
interface ProcessSlot {
  readonly name: string;
  process: LedgerProcess;
  /** Of every process that was started here. */
  readonly journals: string[];
}

const consumerNames = ['balances', 'turnover', 'journal', 'totals', 'letters', 'receipts'];

/**
 * A real server and real applications under load, for a test that injects faults.
 *
 * The server writes to its disk what it acknowledges. The applications record every call, answer and
 * read; in the end all of it is compared with the log.
 */
export class Trial {
  readonly choices: Random;
  readonly #recoveriesMs: number[] = [];
  readonly #abandoned: OwnServer[] = [];

  private constructor(
    readonly options: TrialOptions,
    /** The server that takes writes now. */
    public server: OwnServer,
    readonly proxy: TcpProxy | undefined,
    private readonly directory: string,
    private readonly slots: readonly ProcessSlot[],
  ) {
    this.choices = random(options.seed);
  }

  /** Starts everything; no application writes yet. */
  static async start(options: TrialOptions): Promise<Trial> {
    const server = await startOwnServer({ durable: true, ...options.server });
    const client = new Client({ connectionString: server.url });
    await client.connect();
    await client.query(createLedgerTables);
    await client.end();
    const proxy = options.proxied ? await startProxy(server.url) : undefined;
    const directory = await mkdtemp(join(tmpdir(), 'nest-event-store-trial-'));
    const slots: ProcessSlot[] = [];
    const trial = new Trial(options, server, proxy, directory, slots);
    const names = Array.from({ length: options.applications ?? 2 }, (_, n) => `application-${n}`);
    const starting = names.map(async (name) => {
      const journals = [join(directory, `${name}.0`)];
      return { name, journals, process: await trial.#startProcess(name, journals[0]!) };
    });
    slots.push(...(await Promise.all(starting)));
    return trial;
  }

  get applications(): readonly LedgerProcess[] {
    return this.slots.map(({ process }) => process);
  }

  /** Lets all applications write and read, and resolves once every writer has been answered. */
  async load(): Promise<void> {
    await Promise.all(this.slots.map((slot) => this.#startWorkload(slot)));
    await this.#answered(now());
  }

  /** Kills an application in the middle of its work, and starts another one in its slot. */
  async killAndRestart(n: number): Promise<void> {
    const slot = this.slots[n]!;
    await slot.process.kill();
    const journal = join(this.directory, `${slot.name}.${slot.journals.length}`);
    slot.process = await this.#startProcess(slot.name, journal);
    slot.journals.push(journal);
    await this.#startWorkload(slot);
  }

  /** Resolves once every writer is answered again, to the time it took. Call it when a fault is over. */
  async recovered(timeoutMs?: number): Promise<number> {
    const since = now();
    await this.#answered(since, timeoutMs);
    const tookMs = now() - since;
    this.#recoveriesMs.push(tookMs);
    return tookMs;
  }

  /** Resolves once the applications that run now have acknowledged more than this many calls. */
  async hasAcknowledged(more: number): Promise<void> {
    await eventually(async () => {
      const counts = await Promise.all(this.applications.map(({ call }) => call.acknowledged()));
      return counts.reduce((sum, each) => sum + each) > more;
    });
  }

  /** Ends the load, and compares every answer with what is stored. */
  async finish(fault: string): Promise<TrialReport> {
    await Promise.all(this.slots.map(({ process }) => process.call.stopWorkload()));
    const dataSource = await this.#openDataSource();
    try {
      if (this.options.consumers) await this.#caughtUp(dataSource);
      for (const { process } of this.slots) await this.#isAtRest(process);
      const report = await describeTrial(fault, await this.#history(dataSource), {
        dataSource: this.options.consumers ? dataSource : undefined,
        recoveriesMs: this.#recoveriesMs,
      });
      for (const { process } of this.slots) await process.stop();
      return report;
    } finally {
      await dataSource.destroy();
    }
  }

  /** Promotes a standby of this server, and redirects the applications to it. */
  async failOver(standby: Standby): Promise<void> {
    this.#abandoned.push(this.server);
    this.server = standby;
    await standby.promote();
    this.proxy!.redirect(standby.url);
  }

  /** Removes everything, however far the trial has come. */
  async close(): Promise<void> {
    for (const { process } of this.slots) await process.kill();
    await this.proxy?.close();
    for (const server of [this.server, ...this.#abandoned]) await server.stop();
    await rm(this.directory, { recursive: true, force: true });
  }

  /** Runs one statement on the server, past the proxy. */
  async query<Row>(sql: string, values: readonly unknown[] = []): Promise<Row[]> {
    const client = new Client({ connectionString: this.server.url, application_name: 'trial' });
    await client.connect();
    try {
      return (await client.query(sql, [...values])).rows as Row[];
    } finally {
      await client.end();
    }
  }

  #startProcess(name: string, journal: string): Promise<LedgerProcess> {
    return startLedger({
      clockOffsetMs: this.options.clockOffsetsMs?.[Number(name.split('-')[1])] ?? 0,
      url: this.proxy?.url ?? this.server.url,
      leaseMs: 1_000,
      pollIntervalMs: 100,
      journal,
      ...(!this.options.consumers && { without: consumerNames, autoStart: false }),
      ...this.options.application,
    });
  }

  async #startWorkload({ name, process, journals }: ProcessSlot): Promise<void> {
    const reader = `${name}-reader`;
    const pages = journals.slice(0, -1).flatMap((each) => readJournal(each).pages);
    await process.call.startWorkload({
      seed: this.choices.integer(0, 2 ** 30),
      name: `${name}.${journals.length}`,
      writers: this.options.writers ?? 5,
      readers: [{ name: reader, after: pages.at(-1)?.position ?? 0 }],
      pauseMs: this.options.pauseMs ?? 10,
      hasGuest: this.options.hasGuests ?? false,
    });
  }

  async #answered(since: number, timeoutMs = 120_000): Promise<void> {
    await Promise.all(
      this.slots.map(({ process }) =>
        eventually(async () => (await process.call.lastAcknowledged()) > since, { timeoutMs }),
      ),
    );
  }

  /** Resolves once every connection taken from the pool was given back. */
  async #isAtRest({ pid, call }: LedgerProcess): Promise<void> {
    await eventually(async () => {
      const busy = await call.busyConnections();
      if (busy > 0) throw new Error(`${busy} connections of process ${pid} were not given back.`);
      return true;
    });
  }

  async #caughtUp(dataSource: DataSource): Promise<void> {
    const [{ end }] = await dataSource.query(
      'SELECT coalesce(max(position), 0)::float8 AS end FROM event_store.domain_events',
    );
    const [{ process }] = this.slots as [ProcessSlot];
    for (const name of consumerNames) {
      if (name === 'totals') continue;
      // The call fails over a connection that is still half-open, and is repeated.
      const hasReached = () => process.call.waitFor(name, end).then(() => true);
      await eventually(hasReached);
    }
  }

  async #history(dataSource: DataSource): Promise<History> {
    const journals = this.slots.flatMap((slot) => slot.journals.map(readJournal));
    return {
      attempts: journals.flatMap(({ attempts }) => attempts),
      pages: journals.flatMap(({ pages }) => pages),
      versionReads: journals.flatMap(({ versionReads }) => versionReads),
      log: await readLog(dataSource),
    };
  }

  #openDataSource(): Promise<DataSource> {
    return new DataSource({
      type: 'postgres',
      url: this.server.url,
      installExtensions: false,
    }).initialize();
  }
}
