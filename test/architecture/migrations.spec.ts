import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { migrationStatements } from '../../lib/postgres/schema/migrations/statements.ts';

/** The hash of the SQL that each migration sends to the schema "event_store". */
const digests = ['3db8bf4b1644abc60b470205542b2c28d2aaba3888527d1788ffe5b81c9ab7f9'];

const digestOf = (number: number): string =>
  createHash('sha256')
    .update(migrationStatements[number - 1]!.map((each) => each('event_store')).join('\n'))
    .digest('hex');

describe('a migration', () => {
  it.each(migrationStatements.map((_, index) => index + 1))(
    'never changes its SQL: number %d',
    (number) => {
      const hint = 'Schemas that exist keep the old SQL: add the next migration instead.';
      expect({ digest: digestOf(number), hint }).toEqual({ digest: digests[number - 1], hint });
    },
  );
});
