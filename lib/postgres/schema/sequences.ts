import type { Queryable } from './migrations/installed-version.ts';
import {
  lockAppends,
  positionsDefinition,
  raiseSequences,
  readSequences,
  redefinePositions,
} from './sequences.sql.ts';

/** A row as the driver reads it by default: every bigint is text. */
type SequencesRow = Readonly<
  Record<
    | 'greatest_position'
    | 'greatest_key'
    | 'last_position'
    | 'last_key'
    | 'increment'
    | 'cache'
    | 'max'
    | 'min',
    string
  >
> & { readonly cycles: boolean };

/**
 * Returns the problems of the sequences that number events and aggregates.
 *
 * Logical replication, blue/green upgrades and partial dumps carry rows but no sequences. Events would
 * then be stored at positions that consumers have already passed, and never be seen.
 */
export async function sequenceProblems(queryable: Queryable, schema: string): Promise<string[]> {
  const [row] = (await queryable.query(readSequences(schema))) as [SequencesRow];
  const problems: string[] = [];
  const definition = definitionOf(row);
  if (definition !== positionsDefinition) {
    problems.push(
      `The sequence "${schema}".positions is defined with ${definition} instead of ` +
        `${positionsDefinition}: readers would skip events.`,
    );
  }
  if (Number(row.last_position) < Number(row.greatest_position)) {
    problems.push(
      behind(schema, 'positions', row.last_position, `position ${row.greatest_position}`),
    );
  }
  if (Number(row.last_key) < Number(row.greatest_key)) {
    problems.push(behind(schema, 'aggregates_key_seq', row.last_key, `key ${row.greatest_key}`));
  }
  return problems;
}

/**
 * Repairs the sequences, and returns the problems that they had.
 *
 * Needs a transaction. Appends of all processes then wait until it ends, so that none of them draws a
 * number between the check and the repair.
 */
export async function repairSequences(queryable: Queryable, schema: string): Promise<string[]> {
  await queryable.query(lockAppends(schema));
  const problems = await sequenceProblems(queryable, schema);
  if (problems.length === 0) return problems;
  const [row] = (await queryable.query(readSequences(schema))) as [SequencesRow];
  if (definitionOf(row) !== positionsDefinition) await queryable.query(redefinePositions(schema));
  await queryable.query(raiseSequences(schema), [row.greatest_position, row.greatest_key]);
  return problems;
}

const definitionOf = ({ increment, min, max, cache, cycles }: SequencesRow): string =>
  `INCREMENT BY ${increment} MINVALUE ${min} MAXVALUE ${max} CACHE ${cache} ${cycles ? '' : 'NO '}CYCLE`;

const behind = (schema: string, sequence: string, last: string, used: string): string =>
  `The sequence "${schema}".${sequence} is at ${last}, behind ${used}, which is in use. It was set back, ` +
  'or left behind by a replication or a restore that carries no sequences.';
