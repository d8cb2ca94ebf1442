import type { MigrationInterface, QueryRunner } from 'typeorm';
import { dropLeftover, installedVersion } from './installed-version.ts';
import { runPinned } from './run-pinned.ts';
import { migrationStatements } from './statements.ts';

/** The first schema: events, checkpoints, and the functions that write and read them. */
export abstract class CreateEventStore implements MigrationInterface {
  protected abstract readonly schema: string;

  /** TypeORM tells migrations apart by name, and orders them by the timestamp at its end. */
  get name(): string {
    return `CreateEventStore_${this.schema}_1764000000000`;
  }

  async up(queryRunner: QueryRunner): Promise<void> {
    if ((await installedVersion(queryRunner, this.schema)) >= 1) return;
    await dropLeftover(queryRunner, this.schema);
    await runPinned(
      queryRunner,
      migrationStatements[0]!.map((each) => each(this.schema)),
    );
  }

  /** Drops the schema, unless it holds an event or a checkpoint. */
  async down(queryRunner: QueryRunner): Promise<void> {
    const holds = async (table: string): Promise<boolean> => {
      const sql = `SELECT FROM "${this.schema}"."${table}" LIMIT 1`;
      return ((await queryRunner.query(sql)) as unknown[]).length > 0;
    };
    if (await holds('domain_events')) {
      throw new Error(
        `The schema "${this.schema}" holds events, so it is not dropped. Drop it by hand if you ` +
          'are sure: they are the only copy.',
      );
    }
    if (await holds('consumers')) {
      throw new Error(
        `The schema "${this.schema}" holds checkpoints of consumers, so it is not dropped. Without ` +
          'them projections count every event a second time. Delete the rows of "consumers" by hand ' +
          'if you are sure.',
      );
    }
    await queryRunner.query(`DROP SCHEMA "${this.schema}" CASCADE`);
  }
}
