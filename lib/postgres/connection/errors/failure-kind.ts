import { errorOf } from '../../../input/thrown-error.ts';

/** The ways in which a statement can fail, as far as the sender must tell them apart. */
export type FailureKind =
  // It is unknown whether the statement was carried out; or it was certainly never sent.
  | 'lost'
  | 'unreachable'
  | 'server-crowded'
  | 'pool-crowded'
  // Other transactions were in the way, or it took too long; `ended` also ends the connection.
  | 'conflict'
  | 'locked'
  | 'cancelled'
  | 'ended'
  // The server cannot serve any client.
  | 'disk-full'
  | 'server'
  | 'read-only'
  // The application is not set up for it.
  | 'denied'
  | 'schema'
  | 'pooler'
  // The data, or anything else.
  | 'duplicate'
  | 'constraint'
  | 'refused';

/** The facts that an error of the driver carries. */
export interface DriverFacts {
  readonly code?: string;
  readonly constraint?: string;
  /** The function of the server's source that raised it. */
  readonly routine?: string;
  readonly syscall?: string;
  readonly name?: string;
  readonly message?: string;
  /** The role of the connection; see `noteRole`. */
  readonly role?: string;
  /** Whether there was no connection to send the statement over; see `noteUnsent`. */
  readonly isUnsent?: boolean;
}

/** By SQLSTATE with constraint or routine, by SQLSTATE, or by its class, which is its first two characters. */
const bySqlState: ReadonlyMap<string, FailureKind> = new Map<string, FailureKind>([
  ['08', 'lost'], // connection_exception, and whatever a pooler has to say
  ['08001', 'unreachable'], // sqlclient_unable_to_establish_sqlconnection
  ['08004', 'unreachable'], // sqlserver_rejected_establishment_of_sqlconnection
  ['23', 'constraint'],
  ['23505 domain_events_event_id_unique', 'duplicate'], // two transactions at once; else an outcome row
  ['25006', 'read-only'], // read_only_sql_transaction
  ['25P03', 'ended'], // idle_in_transaction_session_timeout
  ['25P04', 'ended'], // transaction_timeout
  ['26000', 'pooler'], // invalid_sql_statement_name: prepared on another connection of the pooler
  ['28', 'denied'], // invalid_authorization_specification, invalid_password
  ['3D000', 'denied'], // invalid_catalog_name: there is no such database
  ['3F000', 'schema'], // invalid_schema_name
  ['40', 'conflict'], // transaction_rollback
  ['40001', 'conflict'], // serialization_failure
  ['40003', 'lost'], // statement_completion_unknown
  ['40P01', 'conflict'], // deadlock_detected
  ['42501', 'denied'], // insufficient_privilege
  ['42703', 'schema'], // undefined_column
  ['42883', 'schema'], // undefined_function
  ['42P01', 'schema'], // undefined_table
  ['42P05', 'pooler'], // duplicate_prepared_statement
  ['53', 'server'], // insufficient_resources
  ['53100', 'disk-full'],
  ['53300', 'server-crowded'], // too_many_connections
  // The database takes no connections now. The same SQLSTATE with other routines concerns the
  // statement.
  ['55000 CheckMyDatabase', 'unreachable'], // object_not_in_prerequisite_state
  ['55P03', 'locked'], // lock_not_available
  ['57', 'server'], // operator_intervention
  ['57014', 'cancelled'], // query_canceled: statement_timeout, or on request
  // A backend that is terminated may end between its commit and its answer.
  ['57P01', 'lost'], // admin_shutdown
  ['57P02', 'lost'], // crash_shutdown
  ['57P03', 'unreachable'], // cannot_connect_now
  ['57P04', 'lost'], // database_dropped
  ['57P05', 'lost'], // idle_session_timeout
  ['58', 'server'], // system_error
]);

/**
 * Keyed by system error code. A code that may also mean the loss of a connection in use counts as
 * `lost`; `failureKindOf` then checks whether there was a connection.
 */
const bySystemCode: ReadonlyMap<string, FailureKind> = new Map<string, FailureKind>([
  ['EAI_AGAIN', 'unreachable'],
  ['ECONNABORTED', 'lost'],
  ['ECONNREFUSED', 'unreachable'],
  ['ECONNRESET', 'lost'],
  ['EHOSTUNREACH', 'lost'],
  ['ENETUNREACH', 'lost'],
  ['ENOTFOUND', 'unreachable'],
  ['EPIPE', 'lost'],
  ['ETIMEDOUT', 'lost'],
]);

/** The messages of node-postgres and TypeORM that come without a code. The first match counts. */
const byMessage: readonly (readonly [RegExp, FailureKind])[] = [
  [/^timeout exceeded when trying to connect/, 'pool-crowded'],
  [/^Connection terminated due to connection timeout/, 'unreachable'],
  [/^Connection terminated|^Query read timeout/, 'lost'],
  // A pooler may pass on the server's message without its SQLSTATE.
  [/ is not currently accepting connections$/, 'unreachable'],
  [/^Client (has encountered a connection error|was closed) and is not queryable/, 'unreachable'],
];

/** Returns the kind of a failure, from the facts of the driver's error. */
export function failureKindOf(error: unknown): FailureKind {
  const { syscall, isUnsent } = factsOf(error);
  const kind = saidBy(error);
  return kind === 'lost' && (isUnsent || syscall === 'connect') ? 'unreachable' : kind;
}

function saidBy(error: unknown): FailureKind {
  const { code = '', constraint, routine, name = '', message = '' } = factsOf(error);
  const kind =
    bySqlState.get(`${code} ${constraint}`) ??
    bySqlState.get(`${code} ${routine}`) ??
    bySqlState.get(code) ??
    (code.length === 5 ? bySqlState.get(code.slice(0, 2)) : undefined) ??
    bySystemCode.get(code);
  if (kind) return kind;
  // TypeORM releases a query runner to the pool by itself when its connection is lost.
  if (/^QueryRunner(Provider)?AlreadyReleasedError$/.test(name)) return 'unreachable';
  if (code !== '' && code !== '55000') return 'refused';
  return byMessage.find(([pattern]) => pattern.test(message))?.[1] ?? 'refused';
}

/** Reads the facts of any error: projections may throw anything, even values that cannot be read. */
export function factsOf(error: unknown): DriverFacts {
  return errorOf(error);
}

/** Records which role was refused, for `AccessDeniedError`; the server's message does not name it. */
export function noteRole(error: unknown, role: string | undefined): void {
  if (error instanceof Error && failureKindOf(error) === 'denied') Object.assign(error, { role });
}

/**
 * Records that no connection could be made, whatever the error says: with a proxy that accepts a
 * connection and then closes it, the error is that of a lost connection.
 */
export function noteUnsent(error: unknown): void {
  if (error instanceof Error) Object.assign(error, { isUnsent: true });
}
