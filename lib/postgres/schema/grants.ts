import { applyRules, type OptionRule } from '../../input/option-rules.ts';
import {
  grantReading,
  grantRemoval,
  grantWriting,
  refuseOwner,
  revokeRights,
} from './grants.sql.ts';
import { schemaNameRule } from './schema-name.ts';
import { revokeOwnersRights } from './fragments/with-owners-rights.sql.ts';

/**
 * The roles of one store and their rights. The roles must exist; neither may be the owner of the
 * tables.
 */
export interface GrantsSqlOptions {
  /** The PostgreSQL schema that holds the store's tables. @default 'event_store' */
  readonly schema?: string;
  /** The role of applications that append, read and run consumers. */
  readonly application: string;
  /** A role that reads the log, single aggregates, and the status of consumers. @default none */
  readonly reader?: string;
  /** Whether the application may call `removeEvents`. @default false */
  readonly allowRemoval?: boolean;
}

/**
 * Returns the SQL that grants two roles the rights that they need on a store, and revokes all other
 * rights that they were granted on it.
 *
 * Run it as the owner of the tables, after the migrations and again after each new migration; in one
 * transaction, if the store is in use. It does not change rights that the roles have as members of
 * other roles or through PUBLIC. It fails if a role does not exist, is the owner, or is a superuser.
 *
 * @throws TypeError if a name is not valid for a role or schema.
 *
 * @example
 * await owner.query(grantsSql({ application: 'bank', reader: 'reports' }));
 */
export function grantsSql(given: GrantsSqlOptions): string {
  const { options, problems } = applyRules<Required<GrantsSqlOptions>>(
    rules,
    defaults,
    given,
    'grantsSql',
  );
  const { schema, application, reader, allowRemoval } = options;
  const all = [...problems];
  if (application === '' && !problems.some((problem) => problem.includes("'application'"))) {
    all.push("The option 'application' must name a role.");
  } else if (application === reader) {
    all.push(`'${reader}' cannot be the application and the reader.`);
  }
  if (all.length > 0) throw new TypeError(all.join('\n'));

  const roles = reader === '' ? [application] : [application, reader];
  return [
    // A dump that was restored without rights has left these functions open to every role.
    revokeOwnersRights(schema),
    `REVOKE ALL ON FUNCTION "${schema}".forget_consumer FROM PUBLIC;\n`,
    ...roles.flatMap((role) => [refuseOwner(schema, role), revokeRights(schema, role)]),
    ...roles.map((role) => grantReading(schema, role)),
    grantWriting(schema, application),
    allowRemoval ? grantRemoval(schema, application) : '',
  ].join('');
}

const defaults: Required<GrantsSqlOptions> = {
  schema: 'event_store',
  application: '',
  reader: '',
  allowRemoval: false,
};

// No characters that could end a quotation. PostgreSQL takes "public", even quoted, to mean every role.
const isRoleName = (name: unknown): boolean =>
  typeof name === 'string' &&
  /^[^\p{C}'"\\$]+$/u.test(name) &&
  Buffer.byteLength(name) <= 63 &&
  name !== 'public' &&
  name !== 'none';

const roleName: OptionRule = [
  isRoleName,
  "a role's name of up to 63 bytes, without quotes, \\ and $, and not public or none",
];

const rules: Record<keyof GrantsSqlOptions, OptionRule> = {
  schema: schemaNameRule,
  application: roleName,
  reader: roleName,
  allowRemoval: [(value) => typeof value === 'boolean', 'true or false'],
};
