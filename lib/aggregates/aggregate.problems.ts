import { nearestName } from '../input/nearest-name.ts';
import { checkAggregateRef } from '../store/check-aggregate-ref.ts';
import { InvalidAggregateRefError } from '../store/store.errors.ts';
import type { SnapshotPolicy } from './snapshot-policy.ts';

export const aggregateOptionNames = ['snapshots', 'snapshotRevision'];

/** Returns the problems of the arguments of an `@Aggregate`, each with its remedy. */
export function aggregateProblems(
  type: string,
  options: { readonly snapshots?: SnapshotPolicy; readonly snapshotRevision?: number },
): string[] {
  const { snapshots, snapshotRevision = 1 } = options;
  const subject = `@Aggregate('${type}')`;
  const problems: string[] = [];

  const typeProblem = problemOfType(type);
  if (typeProblem !== undefined) problems.push(`${subject}: ${typeProblem}`);
  if (snapshots !== undefined && typeof snapshots?.isDue !== 'function') {
    problems.push(`${subject}: \`snapshots\` must be a policy, such as everyNEvents(100).`);
  }
  if (!Number.isSafeInteger(snapshotRevision) || snapshotRevision < 1) {
    problems.push(
      `${subject} has the snapshotRevision ${String(snapshotRevision)}. Use a whole number from 1 up.`,
    );
  }
  for (const key of Object.keys(options)) {
    if (aggregateOptionNames.includes(key)) continue;
    const meant = nearestName(key, aggregateOptionNames);
    problems.push(
      `${subject}: unknown option \`${key}\`.${meant === undefined ? '' : ` Did you mean \`${meant}\`?`} ` +
        `Options are ${aggregateOptionNames.join(', ')}.`,
    );
  }
  return problems;
}

function problemOfType(type: string): string | undefined {
  try {
    checkAggregateRef({ type, id: 'any' });
    return undefined;
  } catch (error) {
    if (error instanceof InvalidAggregateRefError) return error.message;
    throw error;
  }
}
