import { expect, it } from '@jest/globals';
import { nameOf, objectsOf } from '../../../../lib/postgres/schema/migrations/schema-objects.ts';
import { migrationStatements } from '../../../../lib/postgres/schema/migrations/statements.ts';
import { alterationsOf } from '../../../../lib/postgres/evidence/released-schema.ts';

it('compares every object that the migrations make, and the triggers of the hash chain', () => {
  const made = objectsOf(migrationStatements.length)
    .filter(({ kind }) => kind !== 'constraint')
    .map(nameOf);
  const chain = ['trigger domain_events_hash', 'trigger domain_events_removed_hash'];
  const compared = alterationsOf('loans', []).map(({ object }) => object);
  expect(new Set(compared)).toEqual(
    new Set([...made, ...chain].map((object) => `${object} of "loans"`)),
  );
  expect(compared).toHaveLength(new Set(compared).size);
});
