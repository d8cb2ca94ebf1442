import { setTimeout as delay } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { eventually } from '../eventually.ts';
import { type Random, random } from '../random.ts';
import { type LedgerProcess, startLedger } from './ledger.ts';
import type { LedgerProcessOptions } from './ledger.process.ts';

const rebuildable = ['balances', 'turnover', 'journal', 'totals', 'letters', 'receipts'];

/** How often each trouble happened, to check that a round was not a quiet one. */
export type Troubles = Readonly<Record<Trouble, number>>;
type Trouble =
  | 'killed'
  | 'frozen'
  | 'ended'
  | 'takenAway'
  | 'clockMoved'
  | 'cut'
  | 'paused'
  | 'rebuilt'
  | 'cancelled';

/** Holds one process, and later its replacement. */
interface ProcessSlot {
  readonly choices: Random;
  process: LedgerProcess;
}

/** Runs processes of the ledger, which all consume and write, and makes trouble for them. */
export class LedgerTrouble {
  readonly #dataSource: DataSource;
  readonly #options: LedgerProcessOptions;
  readonly #leaseMs: number;
  readonly #troubles: Record<Trouble, number> = {
    killed: 0,
    frozen: 0,
    ended: 0,
    takenAway: 0,
    clockMoved: 0,
    cut: 0,
    paused: 0,
    rebuilt: 0,
    cancelled: 0,
  };
  #slots: ProcessSlot[] = [];
  #acknowledged = 0;

  constructor(dataSource: DataSource, options: LedgerProcessOptions & { leaseMs: number }) {
    this.#dataSource = dataSource;
    this.#options = options;
    this.#leaseMs = options.leaseMs;
  }

  get troubles(): Troubles {
    return this.#troubles;
  }

  /** How many appends were acknowledged to writers that have lived to report it. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Starts this many processes, without any trouble yet. */
  async start(seed: number, count: number): Promise<void> {
    this.#slots = await Promise.all(
      Array.from({ length: count }, async (_, n) => {
        const choices = random(seed + n + 1);
        return { choices, process: await this.#start(choices) };
      }),
    );
  }

  /** Makes trouble for this long; at the end, all processes are up and no longer write. */
  async makeTrouble(seed: number, control: LedgerProcess, durationMs: number): Promise<void> {
    const deadline = performance.now() + durationMs;
    await Promise.all([
      this.#disturbConsumers(control, random(seed), deadline),
      ...this.#slots.map((slot) => this.#disturbProcess(slot, deadline)),
    ]);
    await Promise.all(this.#slots.map((slot) => this.#stopWriting(slot)));
  }

  /** Ends all processes in good order. */
  async stop(): Promise<void> {
    for (const { process } of this.#slots) await process.stop();
  }

  /** Kills, freezes or ends the process in the slot again and again, and replaces it. */
  async #disturbProcess(slot: ProcessSlot, deadline: number): Promise<void> {
    const { choices } = slot;
    for (;;) {
      await delay(choices.integer(50, 500));
      if (performance.now() > deadline) return;
      const kind = choices.pick(['kill', 'kill', 'freeze', 'freeze', 'freeze', 'end'] as const);
      if (kind === 'freeze') {
        slot.process.freeze();
        await delay(choices.integer(this.#leaseMs * 0.2, this.#leaseMs * 2.5));
        slot.process.thaw();
        this.#troubles.frozen += 1;
        continue;
      }
      if (kind === 'kill') {
        await slot.process.kill();
        this.#troubles.killed += 1;
      } else {
        await this.#stopWriting(slot);
        await slot.process.stop();
        this.#troubles.ended += 1;
      }
      slot.process = await this.#start(choices);
    }
  }

  async #stopWriting({ process }: ProcessSlot): Promise<void> {
    this.#acknowledged += await process.call.stopWriting();
  }

  async #start(choices: Random): Promise<LedgerProcess> {
    const options = { ...this.#options, partitions: choices.integer(1, 4) };
    // A process whose connection is cut during its start ends, and is started again, as by a supervisor.
    const process = await startLedger(options).catch((error: Error) => {
      if (!error.message.includes('57P01')) throw error;
      return startLedger(options);
    });
    await process.call.startWriting(choices.integer(0, 2 ** 30), 2);
    return process;
  }

  async #disturbConsumers(
    control: LedgerProcess,
    choices: Random,
    deadline: number,
  ): Promise<void> {
    const kinds: Record<string, () => Promise<unknown>> = {
      rebuilt: () => control.call.rebuild(choices.pick(rebuildable)),
      cancelled: () => control.call.cancelRebuild(choices.pick(rebuildable)),
      takenAway: () => this.#takeLeasesAway(),
      clockMoved: () => this.#moveClock(choices.pick([-1, 1]) * choices.integer(0, 600_000)),
      cut: () => this.#cutConnections(choices),
      paused: async () => {
        const consumer = choices.pick(rebuildable);
        try {
          await control.call.pause(consumer);
          await delay(choices.integer(0, 60));
        } finally {
          // Also after a lost answer: a consumer must not stay paused.
          await eventually(() => control.call.resume(consumer).then(() => true));
        }
      },
    };
    for (;;) {
      await delay(choices.integer(50, 350));
      if (performance.now() > deadline) return;
      const kind = choices.pick(Object.keys(kinds)) as Trouble;
      try {
        await kinds[kind]!();
        this.#troubles[kind] += 1;
      } catch (error) {
        // Not every consumer can be rebuilt, or has a rebuild to cancel, at any time. A frozen process may
        // hold a row for longer than a statement may take.
        const expected = /ConsumerStateError|UnknownConsumerError|ConnectionLostError/;
        if (!expected.test(String(error))) throw error;
      }
    }
  }

  /** As if all leases had run out while their owners were busy. */
  #takeLeasesAway(): Promise<unknown> {
    return this.#dataSource.query(
      `UPDATE event_store.checkpoints AS k SET owner = 'nobody', fence = fence + 1
       FROM event_store.consumers AS c
       WHERE c.name = k.consumer AND k.owner IS NOT NULL AND k.status <> 'stopped'`,
    );
  }

  /** What the database sees when its clock is set forward or back: leases end before or after their time. */
  #moveClock(byMs: number): Promise<unknown> {
    return this.#dataSource.query(
      `UPDATE event_store.consumer_processes
       SET lease_expires_at = lease_expires_at + $1 * interval '1 ms'`,
      [byMs],
    );
  }

  /** Not the newest: for a moment, neither pg nor TypeORM listens for errors of a new connection. */
  #cutConnections(choices: Random): Promise<unknown> {
    return this.#dataSource.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND application_name <> 'spec'
         AND backend_type = 'client backend' AND backend_start < now() - interval '500 ms'
       ORDER BY md5(pid::text || $1::text) LIMIT 2`,
      [choices.integer(0, 1_000)],
    );
  }
}
