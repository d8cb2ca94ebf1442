import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { migrationStatements } from '../../lib/postgres/schema/migrations/statements.ts';

/** Of the SQL that each migration sends to the schema "event_store". */
const digests = ['9db30f409e1e07f2e4734cc7dcb976fdd21762679d85fcbdbf86dfbdc02758a8'];

const digestOf = (number: number): string =>
  createHash('sha256')
    .update(migrationStatements[number - 1]!.map((each) => each('event_store')).join('\n'))
    .digest('hex');

describe('a migration', () => {
  it.each(migrationStatements.map((_, index) => index + 1))(
    'sends what it always sent: number %d',
    (number) => {
      const hint = 'Schemas that exist keep the old SQL: add the next migration instead.';
      expect({ digest: digestOf(number), hint }).toEqual({ digest: digests[number - 1], hint });
    },
  );
});
