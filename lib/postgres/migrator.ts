import type { DataSource } from 'typeorm';
import { chainStart } from './hash-chain.ts';
import { eventStoreMigrations } from './migrations/index.ts';
import { installedVersion } from './migrations/installed-version.ts';
import { startHashChain } from './sql/hash-chain.ts';
import { lockKey } from './sql/schema-name.ts';
import { pinTransaction } from './sql/search-path.ts';

/** Brings the store's schema up to date, or tells that it is not. */
export class Migrator {
  readonly #migrations;

  constructor(
    private readonly dataSource: DataSource,
    private readonly schema: string,
    private readonly wanted: { readonly hashChain?: boolean } = {},
  ) {
    this.#migrations = eventStoreMigrations(schema);
  }

  /** Returns what keeps this release from working with the schema, with the remedy. */
  async check(): Promise<string | undefined> {
    const installed = await installedVersion(this.dataSource, this.schema);
    const needed = this.#migrations.length;
    if (installed === needed) return this.#chainFault();
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
    const isMigrated =
      (await installedVersion(this.dataSource, this.schema)) >= this.#migrations.length;
    if (isMigrated && !(await this.#lacksChain())) return;
    await this.dataSource.transaction('READ COMMITTED', async (manager) => {
      await manager.query(pinTransaction);
      await manager.query('SELECT pg_advisory_xact_lock($1::bigint)', [
        lockKey('migrations', this.schema),
      ]);
      // Counted again under the lock: another process may have been faster.
      const installed = await installedVersion(manager, this.schema);
      for (const Migration of this.#migrations.slice(installed)) {
        await new Migration().up(manager.queryRunner!);
      }
      if (this.wanted.hashChain) await manager.query(startHashChain(this.schema));
    });
  }

  async #lacksChain(): Promise<boolean> {
    return (
      !!this.wanted.hashChain && (await chainStart(this.dataSource, this.schema)) === undefined
    );
  }

  async #chainFault(): Promise<string | undefined> {
    if (!(await this.#lacksChain())) return undefined;
    return (
      `The option hashChain is on, and events of "${this.schema}" get no hash: the trigger ` +
      '"domain_events_hash" is not there, or disabled. Set migrations: \'run\', or run the SQL of ' +
      'eventStoreHashChain(), as the owner of the tables; enable the trigger if it is there.'
    );
  }
}
