import type { MigrationInterface, QueryRunner } from 'typeorm';
import { schemaVersion } from '../functions/schema-version.sql.ts';
import { installedVersion } from './installed-version.ts';
import { runPinned } from './run-pinned.ts';
import { migrationStatements } from './statements.ts';

/** Consumers: their checkpoints with leases, what they have parked, and the processes that run them. */
export abstract class CreateConsumers implements MigrationInterface {
  protected abstract readonly schema: string;

  /** TypeORM knows migrations apart by name, and orders them by the time at its end. */
  get name(): string {
    return `CreateConsumers_${this.schema}_1764000000001`;
  }

  async up(queryRunner: QueryRunner): Promise<void> {
    if ((await installedVersion(queryRunner, this.schema)) >= 2) return;
    const statements = migrationStatements[1]!;
    await runPinned(
      queryRunner,
      statements.map((each) => each(this.schema)),
    );
  }

  /** Drops the tables, but never with a checkpoint in them: a projection would count all again. */
  async down(queryRunner: QueryRunner): Promise<void> {
    const rows = (await queryRunner.query(
      `SELECT FROM "${this.schema}".consumers LIMIT 1`,
    )) as unknown[];
    if (rows.length > 0) {
      throw new Error(
        `The schema "${this.schema}" holds checkpoints of consumers, so its tables are not dropped. ` +
          'Without them projections would count every event a second time. Delete the rows of ' +
          '"consumers" by hand if you are sure.',
      );
    }
    const functions = ['hold_checkpoints', 'change_partitions', 'register_consumer'];
    for (const name of [...functions, 'forget_consumer']) {
      await queryRunner.query(`DROP FUNCTION "${this.schema}".${name}`);
    }
    const tables = ['consumer_processes', 'skipped_events', 'read_model_tables', 'parked_events'];
    for (const table of [...tables, 'checkpoints', 'consumers']) {
      await queryRunner.query(`DROP TABLE "${this.schema}".${table}`);
    }
    await queryRunner.query(schemaVersion(this.schema, 1));
  }
}
