import { setTimeout as delay } from 'node:timers/promises';
import type { DataSource, QueryRunner } from 'typeorm';
import type { Random } from './random.ts';

/** How often the guest has left a connection behind in each way. */
export type Misdeeds = Record<keyof typeof misdeeds, number>;

/**
 * Uses the pool of an application as no application should: connections go back to it inside a
 * transaction, inside one that has failed, or with a statement that still runs.
 */
export class UnrulyGuest {
  readonly #dataSource: DataSource;
  readonly misdeeds: Misdeeds = { timedOut: 0, forgotten: 0, failed: 0, running: 0, rolledBack: 0 };
  #isRunning = false;
  #running: Promise<void> = Promise.resolve();

  constructor(dataSource: DataSource) {
    this.#dataSource = dataSource;
  }

  start(choices: Random, pauseMs = 10): void {
    this.#isRunning = true;
    this.#running = this.#run(choices, pauseMs);
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    await this.#running;
  }

  async #run(choices: Random, pauseMs: number): Promise<void> {
    while (this.#isRunning) {
      const kind = choices.pick(Object.keys(misdeeds) as (keyof Misdeeds)[]);
      const queryRunner = this.#dataSource.createQueryRunner();
      this.misdeeds[kind] += 1;
      try {
        await misdeeds[kind](queryRunner);
      } catch {
        // Its connection was closed, or is one that the guest itself left in a bad state.
      } finally {
        await queryRunner.release();
      }
      await delay(choices.integer(0, pauseMs));
    }
  }
}

const misdeeds = {
  /** The driver gives up a statement, and then the ROLLBACK that is queued after it. */
  async timedOut(queryRunner: QueryRunner): Promise<void> {
    await giveUpSoon(queryRunner);
    await queryRunner.startTransaction();
    await queryRunner.query('SELECT pg_sleep(0.3)').catch(() => queryRunner.rollbackTransaction());
  },
  async forgotten(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('BEGIN');
  },
  async failed(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('BEGIN');
    await queryRunner.query('SELECT 1 / 0');
  },
  /** Rolls back whatever others have begun on the connection that it gets. */
  async rolledBack(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ROLLBACK');
  },
  async running(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.connect();
    queryRunner.query('SELECT pg_sleep(0.3)').catch(() => 'closed by then');
  },
};

/** Lets the driver give up statements on this connection, and on no other, after a moment. */
export async function giveUpSoon(queryRunner: QueryRunner): Promise<void> {
  const client = (await queryRunner.connect()) as {
    readonly connectionParameters: { query_timeout: number };
  };
  client.connectionParameters.query_timeout = 100;
}
