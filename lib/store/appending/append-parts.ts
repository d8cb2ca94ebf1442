import type { SerializedEvent } from '../../events/event-serializer.ts';
import type { AggregateRef } from '../aggregate-ref.ts';
import type { VersionExpectation } from './expected-version.ts';
import type { EventIdAt } from './idempotency-key.ts';

/** The parts of an append. */
export interface AppendParts {
  readonly aggregate: AggregateRef;
  readonly expectation: VersionExpectation;
  readonly events: readonly SerializedEvent[];
  /** Whether the caller gave the ids, and so may have appended the same events before. */
  readonly hasCallerIds: boolean;
  /** With an idempotency key: returns the event ids that derive from it. */
  readonly idAt?: EventIdAt | undefined;
}
