import type { EncodedPayload } from '../../events/payload/event-codec.ts';
import type { EventSerializer } from '../../events/event-serializer.ts';
import { errorOf } from '../../input/thrown-error.ts';
import type { AggregateRef } from '../aggregate-ref.ts';
import type { Snapshot } from './aggregate-history.ts';

/** A snapshot as it is stored. */
export interface StoredSnapshot {
  readonly version: number;
  readonly revision: number;
  readonly state: EncodedPayload;
}

/** Returns the snapshot if it can be used at `revision`; otherwise warns and returns `null`. */
export function reviveSnapshot(
  aggregate: AggregateRef,
  stored: StoredSnapshot | null,
  revision: number,
  serializer: EventSerializer,
  warn: (message: string, error?: unknown) => void,
): Snapshot | null {
  if (stored === null) return null;
  const { version, state } = stored;
  const ignored = `The snapshot of ${aggregate.type}/${aggregate.id} at version ${version} is ignored:`;
  if (stored.revision !== revision) {
    warn(`${ignored} its revision is ${stored.revision}, not ${revision}.`);
    return null;
  }
  try {
    return { version, state: serializer.deserializeState(state) };
  } catch (error) {
    warn(`${ignored} it cannot be read. ${String(errorOf(error))}`, error);
    return null;
  }
}
