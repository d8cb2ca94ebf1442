import type { DataSource, EntityManager } from 'typeorm';
import { chainStart } from './hash-chain.ts';
import { eventStoreMigrations } from './migrations/index.ts';
import {
  installedSchema,
  installedVersion,
  isEmptyLeftover,
  type Queryable,
} from './migrations/installed-version.ts';
import { nameOf, type SchemaObject } from './migrations/schema-objects.ts';
import { repairSequences, sequenceProblems } from './sequences.ts';
import { startHashChain } from './hash-chain.sql.ts';
import { lockKey } from './schema-name.ts';
import { pinTransaction } from './search-path.sql.ts';
import { failureKindOf } from '../connection/errors/failure-kind.ts';

const liftLimits = `
SELECT set_config(s.name, '0'::text, true) FROM pg_settings AS s
WHERE s.name IN (
  'lock_timeout', 'statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout'
)`;

/** Brings the store's schema up to date, or reports that it is not. */
export class Migrator {
  readonly #migrations;

  constructor(
    private readonly dataSource: DataSource,
    private readonly schema: string,
    private readonly wanted: { readonly hashChain?: boolean } = {},
  ) {
    this.#migrations = eventStoreMigrations(schema);
  }

  /** Returns the problem that keeps this release from working with the schema, with its remedy. */
  async check(): Promise<string | undefined> {
    const installed = await installedSchema(this.dataSource, this.schema);
    const { version, missing, present } = installed;
    const needed = this.#migrations.length;
    if (version > needed) {
      return (
        `The schema "${this.schema}" is at version ${version}, newer than this release, which ` +
        `knows ${needed}. Use the release that migrated it, or a later one.`
      );
    }
    if (missing.length > 0)
      return this.#brokenProblem(`is at version ${version}, but lacks`, missing);
    if (version === 0 && present.length > 0) {
      return this.#brokenProblem('lacks the function schema_version, but has', present);
    }
    if (version === needed) return this.#chainProblem();
    return (
      `The schema "${this.schema}" is at version ${version} and this release needs ${needed}. ` +
      "Set migrations: 'run', or add eventStoreMigrations() to the data source's `migrations` and " +
      'run `typeorm migration:run`.'
    );
  }

  /**
   * Returns the problems of the sequences of a complete schema, with the remedy; none if the role may
   * not read them.
   */
  async checkSequences(): Promise<string[]> {
    const { version, missing } = await installedSchema(this.dataSource, this.schema);
    if (version !== this.#migrations.length || missing.length > 0) return [];
    try {
      const problems = await this.#looking((manager) => sequenceProblems(manager, this.schema));
      return problems.map(
        (problem) =>
          `${problem} Start an application once with migrations: 'run' as the owner of the tables, ` +
          'which repairs it while appends wait.',
      );
    } catch (error) {
      if (isDenied(error)) return [];
      throw error;
    }
  }

  /**
   * Applies the missing migrations, all or none, and repairs the sequences. Of several processes, one
   * does the work while the others wait. Returns what had to be repaired.
   *
   * An incomplete schema is left as it is, unless it is empty: see `check`.
   */
  async run(): Promise<string[]> {
    if (!(await this.#hasToRun())) return [];
    const repaired: string[] = [];
    await this.dataSource.transaction('READ COMMITTED', async (manager) => {
      // The role's time limits are meant for statements of the application, and would end the wait for
      // others.
      await manager.query(pinTransaction);
      await manager.query(liftLimits);
      await manager.query('SELECT pg_advisory_xact_lock($1::bigint)', [
        lockKey('migrations', this.schema),
      ]);
      // Checked again under the lock: another process may have been faster.
      const before = await installedSchema(manager, this.schema);
      const version = await installedVersion(manager, this.schema);
      if (before.missing.length > 0 && version === 0) {
        repaired.push(
          `The schema "${this.schema}" had lost tables and held nothing; it is made again. If it ever ` +
            'held events, restore them from a backup. Rights that were granted on it have to be ' +
            'granted again.',
        );
      }
      for (const Migration of this.#migrations.slice(version)) {
        await new Migration().up(manager.queryRunner!);
      }
      if (await this.#hasSequenceProblems(manager)) {
        const problems = await repairSequences(manager, this.schema);
        repaired.push(
          ...problems.map(
            (problem) =>
              `${problem} It is repaired. Consumers may have passed events that were appended ` +
              'meanwhile: rebuild what must hold them.',
          ),
        );
      }
      if (this.wanted.hashChain) await manager.query(startHashChain(this.schema));
    });
    return repaired;
  }

  async #hasToRun(): Promise<boolean> {
    const installed = await installedSchema(this.dataSource, this.schema);
    const { version, missing, present } = installed;
    if (missing.length > 0) return isEmptyLeftover(this.dataSource, this.schema, installed);
    if (version === 0) return present.length === 0;
    if (version < this.#migrations.length) return true;
    return (
      (await this.#looking((manager) => this.#hasSequenceProblems(manager))) || this.#lacksChain()
    );
  }

  /** Runs work that only reads, with names looked up only in PostgreSQL's own schema. */
  #looking<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    return this.dataSource.transaction('READ COMMITTED', async (manager) => {
      await manager.query(pinTransaction);
      return work(manager);
    });
  }

  /** Returns whether there are problems that this role may repair. */
  async #hasSequenceProblems(queryable: Queryable): Promise<boolean> {
    const [role] = (await queryable.query(
      `SELECT pg_has_role(c.relowner, 'USAGE'::text) AS owns FROM pg_class AS c
      WHERE c.oid = '"${this.schema}".positions'::regclass`,
    )) as [{ owns: boolean }];
    return role.owns && (await sequenceProblems(queryable, this.schema)).length > 0;
  }

  #brokenProblem(state: string, objects: readonly SchemaObject[]): string {
    const names = objects.slice(0, 8).map(nameOf);
    const rest = objects.length > names.length ? ` and ${objects.length - names.length} more` : '';
    return (
      `The schema "${this.schema}" is in pieces: it ${state} ${names.join(', ')}${rest}. Restore it as a ` +
      `whole from a backup. If it holds nothing that you need, DROP SCHEMA "${this.schema}" CASCADE, and ` +
      "migrate again with migrations: 'run' or eventStoreMigrations()."
    );
  }

  async #lacksChain(): Promise<boolean> {
    return (
      !!this.wanted.hashChain && (await chainStart(this.dataSource, this.schema)) === undefined
    );
  }

  async #chainProblem(): Promise<string | undefined> {
    if (!(await this.#lacksChain())) return undefined;
    return (
      `The option hashChain is on, and events of "${this.schema}" get no hash: the trigger ` +
      '"domain_events_hash" is not there, or disabled. Set migrations: \'run\', or run the SQL of ' +
      'hashChainSql(), as the owner of the tables; enable the trigger if it is there.'
    );
  }
}

const isDenied = (error: unknown): boolean => failureKindOf(error) === 'denied';
