import type { MigrationInterface, QueryRunner } from 'typeorm';
import { createConsumers } from '../sql/create-consumers.ts';
import { holdCheckpoints } from '../sql/hold-checkpoints.ts';
import { registerConsumer } from '../sql/register-consumer.ts';
import { schemaVersion } from '../sql/schema-version.ts';
import { installedVersion } from './installed-version.ts';

/** Consumers: their checkpoints with leases, what they have parked, and the processes that run them. */
export abstract class CreateConsumers implements MigrationInterface {
  protected abstract readonly schema: string;

  /** TypeORM knows migrations apart by name, and orders them by the time at its end. */
  get name(): string {
    return `CreateConsumers_${this.schema}_1764000000001`;
  }

  async up(queryRunner: QueryRunner): Promise<void> {
    if ((await installedVersion(queryRunner, this.schema)) >= 2) return;
    for (const statements of [createConsumers, registerConsumer, holdCheckpoints]) {
      await queryRunner.query(statements(this.schema));
    }
    await queryRunner.query(schemaVersion(this.schema, 2));
  }

  /** Forgets all checkpoints; events and what projections have built stay. */
  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`DROP FUNCTION "${this.schema}".hold_checkpoints`);
    await queryRunner.query(`DROP FUNCTION "${this.schema}".register_consumer`);
    for (const table of ['consumer_processes', 'parked_events', 'checkpoints', 'consumers']) {
      await queryRunner.query(`DROP TABLE "${this.schema}".${table}`);
    }
    await queryRunner.query(schemaVersion(this.schema, 1));
  }
}
