import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { migrationStatements } from '../../lib/postgres/schema/migrations/statements.ts';

/** Of the SQL that each migration sends to the schema "event_store". */
const digests = ['7f3781091dff64ce171af97d33e60af520b6caafb7408f11e00fe30da1e13c83'];

const digestOf = (index: number): string =>
  createHash('sha256')
    .update(migrationStatements[index]!.map((each) => each('event_store')).join('\n'))
    .digest('hex');

describe('a migration', () => {
  it.each(migrationStatements.map((_, index) => index))(
    'sends what it always sent: number %d + 1',
    (index) => {
      const hint = 'Schemas that exist keep the old SQL: add the next migration instead.';
      expect({ digest: digestOf(index), hint }).toEqual({ digest: digests[index], hint });
    },
  );
});
