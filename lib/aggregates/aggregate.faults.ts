import { nearestName } from '../input/nearest-name.ts';
import { checkAggregateRef } from '../store/check-aggregate-ref.ts';
import { InvalidAggregateRefError } from '../store/store.errors.ts';
import type { SnapshotPolicy } from './snapshot-policy.ts';

export const aggregateOptionNames = ['snapshots', 'snapshotRevision'];

/** Returns what is wrong with the arguments of an `@Aggregate`, each fault with its remedy. */
export function aggregateFaults(
  type: string,
  options: { readonly snapshots?: SnapshotPolicy; readonly snapshotRevision?: number },
): string[] {
  const { snapshots, snapshotRevision = 1 } = options;
  const subject = `@Aggregate('${type}')`;
  const faults: string[] = [];

  const typeFault = faultOfType(type);
  if (typeFault !== undefined) faults.push(`${subject}: ${typeFault}`);
  if (snapshots !== undefined && typeof snapshots?.isDue !== 'function') {
    faults.push(`${subject}: \`snapshots\` must be a policy, such as everyNEvents(100).`);
  }
  if (!Number.isSafeInteger(snapshotRevision) || snapshotRevision < 1) {
    faults.push(
      `${subject} has the snapshotRevision ${String(snapshotRevision)}. Use a whole number from 1 up.`,
    );
  }
  for (const key of Object.keys(options)) {
    if (aggregateOptionNames.includes(key)) continue;
    const meant = nearestName(key, aggregateOptionNames);
    faults.push(
      `${subject}: unknown option \`${key}\`.${meant === undefined ? '' : ` Did you mean \`${meant}\`?`} ` +
        `Options are ${aggregateOptionNames.join(', ')}.`,
    );
  }
  return faults;
}

function faultOfType(type: string): string | undefined {
  try {
    checkAggregateRef({ type, id: 'any' });
    return undefined;
  } catch (error) {
    if (error instanceof InvalidAggregateRefError) return error.message;
    throw error;
  }
}
