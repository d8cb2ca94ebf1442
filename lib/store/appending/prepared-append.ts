import type {
  EventSerializer,
  SerializedEvent,
  StoredEvent,
} from '../../events/event-serializer.ts';
import type { AggregateRef } from '../aggregate-ref.ts';
import { reviveEvents } from '../reading/revive-events.ts';
import type { AppendResult } from './append.ts';
import type { AppendParts } from './append-parts.ts';
import { checkContent } from './event-places.ts';
import type { VersionExpectation } from './expected-version.ts';
import type { EventIdAt } from './idempotency-key.ts';

/** An append that is checked and serialized, and waits only for its place. */
export class PreparedAppend implements AppendParts {
  readonly aggregate: AggregateRef;
  readonly expectation: VersionExpectation;
  readonly events: readonly SerializedEvent[];
  readonly hasCallerIds: boolean;
  readonly idAt: EventIdAt | undefined;
  readonly #serializer: EventSerializer;

  constructor(
    { aggregate, expectation, events, hasCallerIds, idAt }: AppendParts,
    serializer: EventSerializer,
  ) {
    this.aggregate = aggregate;
    this.expectation = expectation;
    this.events = events;
    this.hasCallerIds = hasCallerIds;
    this.idAt = idAt;
    this.#serializer = serializer;
  }

  /** Returns the result for the caller once the events are stored, the last of them at `version`. */
  written(version: number, positions: readonly number[], recordedAt: Date): AppendResult {
    const { aggregate, events } = this;
    const first = version - events.length + 1;
    const records = events.map((event, index) =>
      this.#serializer.recordWritten(event, {
        position: positions[index]!,
        aggregate,
        version: first + index,
        recordedAt,
      }),
    );
    return { version, position: positions.at(-1) ?? 0, records, duplicate: false };
  }

  /**
   * Returns the result for the caller if the events, or those of the same key, are already stored up to
   * `version`. `stored` are those that were not removed meanwhile.
   *
   * @throws DuplicateEventError if events with the same ids have other types or content.
   */
  repeated(version: number, position: number, stored: readonly StoredEvent[]): AppendResult {
    // With a key, the events of the first append count, whatever is given now.
    if (!this.idAt) checkContent(this, version, stored, this.#serializer);
    const records = reviveEvents(this.#serializer, stored);
    return { version, position, records, duplicate: true };
  }
}
