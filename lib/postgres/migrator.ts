import { createHash } from 'node:crypto';
import type { DataSource } from 'typeorm';
import { eventStoreMigrations } from './migrations/index.ts';
import { installedVersion } from './migrations/installed-version.ts';

/** Brings the store's schema up to date, or tells that it is not. */
export class Migrator {
  readonly #migrations;

  constructor(
    private readonly dataSource: DataSource,
    private readonly schema: string,
  ) {
    this.#migrations = eventStoreMigrations(schema);
  }

  /** Returns what keeps this release from working with the schema, with the remedy. */
  async check(): Promise<string | undefined> {
    const installed = await installedVersion(this.dataSource, this.schema);
    const needed = this.#migrations.length;
    if (installed === needed) return undefined;
    if (installed > needed) {
      return (
        `The schema "${this.schema}" is at version ${installed}, newer than this release, which ` +
        `knows ${needed}. Use the release that migrated it, or a later one.`
      );
    }
    return (
      `The schema "${this.schema}" is at version ${installed} and this release needs ${needed}. ` +
      "Set migrations: 'run', or add eventStoreMigrations() to the data source's `migrations` and " +
      'run `typeorm migration:run`.'
    );
  }

  /** Runs what the schema has not seen, all or none. Of several processes one runs, the others wait. */
  async run(): Promise<void> {
    if ((await installedVersion(this.dataSource, this.schema)) >= this.#migrations.length) return;
    await this.dataSource.transaction('READ COMMITTED', async (manager) => {
      await manager.query('SELECT pg_advisory_xact_lock($1)', [this.#lockKey()]);
      // Counted again under the lock: another process may have been faster.
      const installed = await installedVersion(manager, this.schema);
      for (const Migration of this.#migrations.slice(installed)) {
        await new Migration().up(manager.queryRunner!);
      }
    });
  }

  /** One 64-bit key, a space apart from the pairs of keys that register appends in flight. */
  #lockKey(): string {
    const digest = createHash('sha256')
      .update(`nest-event-store migrations ${this.schema}`)
      .digest();
    return digest.readBigInt64BE().toString();
  }
}
