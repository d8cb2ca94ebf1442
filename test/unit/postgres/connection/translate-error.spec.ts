import { describe, expect, it } from '@jest/globals';
import { QueryFailedError } from 'typeorm';
import { DatabaseError } from '../../../../lib/postgres/connection/errors/database.errors.ts';
import {
  isConnectionLoss,
  isConnectionSpoilt,
  failsEveryStatement,
  isLockTimeout,
  isTransactionConflict,
  isTransient,
  translateError,
  translateReadError,
} from '../../../../lib/postgres/connection/errors/translate-error.ts';

type Said = Readonly<Record<string, string>>;

const driverError = (said: Said): Error =>
  Object.assign(new Error(said['message'] ?? 'as the driver says'), said);

// The error of the driver, the error it becomes, whether a retry helps, and the outcome of the write.
const table: readonly [Said, string, boolean, 'not-applied' | 'unknown'][] = [
  [{ code: '08000' }, 'ConnectionLostError', true, 'unknown'],
  [{ code: '08006' }, 'ConnectionLostError', true, 'unknown'],
  [{ code: '08007' }, 'ConnectionLostError', true, 'unknown'],
  [{ code: '40003' }, 'ConnectionLostError', true, 'unknown'],
  [{ code: '08P01' }, 'ConnectionLostError', true, 'unknown'],
  [{ code: '57P01' }, 'ConnectionLostError', true, 'unknown'],
  [{ code: '57P02' }, 'ConnectionLostError', true, 'unknown'],
  [{ code: '57P04' }, 'ConnectionLostError', true, 'unknown'],
  [{ code: '57P05' }, 'ConnectionLostError', true, 'unknown'],
  [{ code: 'ECONNRESET', syscall: 'read' }, 'ConnectionLostError', true, 'unknown'],
  [{ code: 'EPIPE', syscall: 'write' }, 'ConnectionLostError', true, 'unknown'],
  [{ code: 'ETIMEDOUT', syscall: 'read' }, 'ConnectionLostError', true, 'unknown'],
  [{ message: 'Connection terminated unexpectedly' }, 'ConnectionLostError', true, 'unknown'],
  [{ message: 'Query read timeout' }, 'ConnectionLostError', true, 'unknown'],

  [{ code: '08001' }, 'ConnectionLostError', true, 'not-applied'],
  [{ code: '08004' }, 'ConnectionLostError', true, 'not-applied'],
  [{ code: '55000', routine: 'CheckMyDatabase' }, 'ConnectionLostError', true, 'not-applied'],
  [
    { code: '55000', message: 'database "bank" is not currently accepting connections' },
    'ConnectionLostError',
    true,
    'not-applied',
  ],
  [{ code: '57P03' }, 'ConnectionLostError', true, 'not-applied'],
  [{ code: 'ECONNREFUSED' }, 'ConnectionLostError', true, 'not-applied'],
  [{ code: 'ENOTFOUND', syscall: 'getaddrinfo' }, 'ConnectionLostError', true, 'not-applied'],
  [{ code: 'ETIMEDOUT', syscall: 'connect' }, 'ConnectionLostError', true, 'not-applied'],
  [
    { message: 'Connection terminated due to connection timeout' },
    'ConnectionLostError',
    true,
    'not-applied',
  ],
  [
    { message: 'Client has encountered a connection error and is not queryable' },
    'ConnectionLostError',
    true,
    'not-applied',
  ],
  [{ name: 'QueryRunnerAlreadyReleasedError' }, 'ConnectionLostError', true, 'not-applied'],

  [{ code: '53300' }, 'TooManyConnectionsError', true, 'not-applied'],
  [
    { message: 'timeout exceeded when trying to connect' },
    'TooManyConnectionsError',
    true,
    'not-applied',
  ],
  [{ code: '53100' }, 'DiskFullError', true, 'not-applied'],
  [{ code: '53200' }, 'DatabaseServerError', true, 'not-applied'],
  [{ code: '53400' }, 'DatabaseServerError', true, 'not-applied'],
  [{ code: '57000' }, 'DatabaseServerError', true, 'not-applied'],
  [{ code: '58030' }, 'DatabaseServerError', true, 'not-applied'],
  [{ code: '25006' }, 'ReadOnlyDatabaseError', true, 'not-applied'],
  [{ code: '57014' }, 'StatementCancelledError', true, 'not-applied'],
  [{ code: '25P03' }, 'StatementCancelledError', true, 'not-applied'],
  [{ code: '25P04' }, 'StatementCancelledError', true, 'not-applied'],
  [{ code: '55P03' }, 'AggregateLockedError', true, 'not-applied'],
  [{ code: '40000' }, 'TransactionConflictError', true, 'not-applied'],
  [{ code: '40001' }, 'TransactionConflictError', true, 'not-applied'],
  [{ code: '40P01' }, 'TransactionConflictError', true, 'not-applied'],

  [{ code: '28P01' }, 'AccessDeniedError', false, 'not-applied'],
  [{ code: '28000' }, 'AccessDeniedError', false, 'not-applied'],
  [{ code: '3D000' }, 'AccessDeniedError', false, 'not-applied'],
  [{ code: '42501' }, 'AccessDeniedError', false, 'not-applied'],
  [{ code: '3F000' }, 'SchemaMismatchError', false, 'not-applied'],
  [{ code: '42P01' }, 'SchemaMismatchError', false, 'not-applied'],
  [{ code: '42883' }, 'SchemaMismatchError', false, 'not-applied'],
  [{ code: '42703' }, 'SchemaMismatchError', false, 'not-applied'],
  [
    { code: '23505', constraint: 'domain_events_event_id_unique' },
    'DuplicateEventError',
    false,
    'not-applied',
  ],
  [
    { code: '23505', constraint: 'domain_events_aggregate_version_unique' },
    'ConstraintViolatedError',
    false,
    'not-applied',
  ],
  [{ code: '23514', constraint: 'any' }, 'ConstraintViolatedError', false, 'not-applied'],
  [{ code: '26000' }, 'StatementFailedError', false, 'not-applied'],
  [{ code: '55000', routine: 'currval_oid' }, 'StatementFailedError', false, 'not-applied'],
  [{ code: '22P02' }, 'StatementFailedError', false, 'not-applied'],
  [{ code: 'XX000' }, 'StatementFailedError', false, 'not-applied'],
  [{ message: 'a parser threw after the answer' }, 'StatementFailedError', false, 'unknown'],
  [{ code: 'ERR_OUT_OF_RANGE' }, 'StatementFailedError', false, 'unknown'],
];

describe('What a statement failed with', () => {
  it.each(table)('%j becomes %s', (said, name, retryable, outcome) => {
    const cause = driverError(said);
    expect(translateError(cause)).toMatchObject({ name, retryable, outcome, cause });
    expect(isTransient(cause)).toBe(retryable);
  });

  it.each(
    table.filter(([, name]) => !['AggregateLockedError', 'DuplicateEventError'].includes(name)),
  )('%j becomes a DatabaseError that knows the SQLSTATE', (said) => {
    const { code = '' } = said;
    const error = translateError(driverError(said));
    expect(error).toBeInstanceOf(DatabaseError);
    expect(error).toMatchObject({
      sqlState: /^(?=.*\d)[0-9A-Z]{5}$/.test(code) ? code : undefined,
    });
  });

  it('is recognized inside the error that TypeORM wraps around it', () => {
    const cause = driverError({ code: '53100', message: 'could not extend file' });
    expect(translateError(new QueryFailedError('SELECT', [], cause)).message).toBe(
      'The disk of the database server is full (could not extend file); nothing was written. Make ' +
        'room; appends succeed from then on, without a restart.',
    );
  });

  it('has an outcome that is known, if nothing was to be written', () => {
    const cause = driverError({ message: 'Connection terminated unexpectedly' });
    const error = translateReadError(cause);
    expect(error).toMatchObject({ code: 'CONNECTION_LOST', outcome: 'not-applied', cause });
    expect(error.message).not.toMatch(/append|stored/);
    for (const [said] of table.filter(([, name]) => name !== 'ConnectionLostError')) {
      const other = driverError(said);
      expect(translateReadError(other)).toEqual(translateError(other));
    }
  });

  it('may be anything', () => {
    for (const thrown of [undefined, null, 'a text', 7]) {
      expect(translateError(thrown)).toMatchObject({ name: 'StatementFailedError' });
      expect(isConnectionLoss(thrown)).toBe(false);
    }
  });

  it('leaves the outcome unknown if an earlier try may have been carried out', () => {
    for (const code of ['53300', '55P03', '23505', 'ECONNREFUSED']) {
      const cause = driverError({ code, message: 'not this time' });
      const error = translateError(cause, { aggregates: [], events: [], mayBeStored: true });
      expect(error).toMatchObject({ name: 'ConnectionLostError', outcome: 'unknown', cause });
      expect(error.message).toContain('(and the second try failed: not this time)');
    }
  });
});

describe('Which failures are', () => {
  const codesOf = (predicate: (error: unknown) => boolean): string[] => {
    const errors = table.map(([said]) => driverError(said)).filter(predicate);
    return errors.map((error) => (error as { code?: string }).code ?? error.message).sort();
  };
  const connectionLosses = [
    ...['08000', '08001', '08004', '08006', '08007', '08P01'],
    ...['40003', '55000', '55000', '57P01', '57P02', '57P03', '57P04', '57P05'],
    'Client has encountered a connection error and is not queryable',
    'Connection terminated due to connection timeout',
    'Connection terminated unexpectedly',
    ...['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EPIPE', 'ETIMEDOUT', 'ETIMEDOUT'],
    'Query read timeout',
    'as the driver says', // QueryRunnerAlreadyReleasedError
  ];

  it('a lost connection, a conflict, a lock that was not free in time', () => {
    expect(codesOf(isConnectionLoss)).toEqual(connectionLosses.toSorted());
    expect(codesOf(isTransactionConflict)).toEqual(['40000', '40001', '40P01']);
    expect(codesOf(isLockTimeout)).toEqual(['55P03']);
  });

  it('the end of the connection, which must not go back to the pool', () => {
    const more = ['25006', '25P03', '25P04'];
    expect(codesOf(isConnectionSpoilt)).toEqual([...connectionLosses, ...more].toSorted());
  });

  it('the same for all appends, so that retrying them one by one is useless', () => {
    const more = [
      ...['53100', '53300', '25006', '28000', '28P01', '3D000', '3F000'],
      ...['42501', '42703', '42883', '42P01', 'timeout exceeded when trying to connect'],
    ];
    expect(codesOf(failsEveryStatement)).toEqual([...connectionLosses, ...more].toSorted());
  });
});
