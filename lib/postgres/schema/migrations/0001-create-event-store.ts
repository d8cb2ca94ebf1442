import type { MigrationInterface, QueryRunner } from 'typeorm';
import { dropLeftover, installedVersion } from './installed-version.ts';
import { runPinned } from './run-pinned.ts';
import { migrationStatements } from './statements.ts';

/** The first schema: aggregates, domain events, and the functions that write and read them. */
export abstract class CreateEventStore implements MigrationInterface {
  protected abstract readonly schema: string;

  /** TypeORM knows migrations apart by name, and orders them by the time at its end. */
  get name(): string {
    return `CreateEventStore_${this.schema}_1764000000000`;
  }

  async up(queryRunner: QueryRunner): Promise<void> {
    if ((await installedVersion(queryRunner, this.schema)) >= 1) return;
    await dropLeftover(queryRunner, this.schema);
    const statements = migrationStatements[0]!;
    await runPinned(
      queryRunner,
      statements.map((each) => each(this.schema)),
    );
  }

  /** Drops the schema, but never one with an event in it. */
  async down(queryRunner: QueryRunner): Promise<void> {
    const rows = (await queryRunner.query(
      `SELECT FROM "${this.schema}".domain_events LIMIT 1`,
    )) as unknown[];
    if (rows.length > 0) {
      throw new Error(
        `The schema "${this.schema}" holds events, so it is not dropped. Drop it by hand if you ` +
          'are sure: they are the only copy.',
      );
    }
    await queryRunner.query(`DROP SCHEMA "${this.schema}" CASCADE`);
  }
}
