import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { migrationStatements } from '../../lib/postgres/schema/migrations/statements.ts';

/** Of the SQL that each migration sends to the schema "event_store". */
const digests = ['7f3781091dff64ce171af97d33e60af520b6caafb7408f11e00fe30da1e13c83'];

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
