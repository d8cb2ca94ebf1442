import { describeOpenAppend, type LogHorizon } from '../store/reading/log-horizon.ts';
import type { ConsumerState, ParkedAggregate } from '../subscriptions/consumer-state.ts';
import { ConsumerStateError, WaitTimeoutError } from '../subscriptions/subscriptions.errors.ts';

/** Returns whether a consumer has nothing left to do except retry its parked events. */
export const isFinished = (state: ConsumerState): boolean =>
  state.lagEvents === 0 && state.rebuild === null && !stoppedPartition(state);

const stoppedPartition = ({ partitions }: ConsumerState) =>
  partitions.find(({ status }) => status === 'stopped');

/** Throws if a consumer cannot continue by itself. */
export function refuseIfDown(state: ConsumerState): void {
  const { name, status } = state;
  const stopped = stoppedPartition(state);
  if (stopped) {
    const { message = 'unknown', position = null } = stopped.error ?? {};
    throw new ConsumerStateError(
      name,
      `has stopped${position === null ? '' : ` at position ${position}`}: ${message}. Fix it, or ` +
        `expect it in the test and call resume('${name}') before drain().`,
    );
  }
  if (status === 'paused' && !isFinished(state)) {
    throw new ConsumerStateError(
      name,
      `is paused at position ${state.position}. Call resume('${name}') before drain().`,
    );
  }
}

/** Returns the error for a consumer with parked events, which names the first of them. */
export function parkedError(
  name: string,
  { aggregate, failure, position }: ParkedAggregate,
): ConsumerStateError {
  return new ConsumerStateError(
    name,
    `has parked the events of ${aggregate.type} '${aggregate.id}' from position ${position} on: ` +
      `${failure.message}. Fix it, or call drain() with allowParked: true.`,
  );
}

/** Returns the error for a consumer that was not finished in time, with the reason if it is known. */
export function timeoutError(
  { name, status, position, partitions, rebuild, parkedEvents, lagEvents }: ConsumerState,
  { position: readable, lastPosition, openAppends }: LogHorizon,
  timeoutMs: number,
): WaitTimeoutError {
  const fail = (reason?: string, reached = position) =>
    new WaitTimeoutError(name, lastPosition, reached, timeoutMs, reason);
  const error = partitions.find((each) => each.status === 'retrying')?.error;
  if (error) return fail(`It is trying again after an error: ${error.message}.`);
  if (openAppends[0] && position >= readable) {
    return fail(
      'A transaction that has appended is still open and holds it back: ' +
        `${describeOpenAppend(openAppends[0])}. Commit it before drain().`,
    );
  }
  if (status === 'waiting')
    return fail('No process holds it; one that was killed keeps its lease.');
  if (rebuild) return fail('It is being rebuilt.', rebuild.position);
  if (parkedEvents > 0 && lagEvents === 0) return fail('It is trying its parked events again.');
  return fail();
}
