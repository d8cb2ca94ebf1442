import type { EncodedPayload, EventCodec } from './event-codec.ts';
import type { EventData } from './event-data.ts';
import type { EventMetadata } from './event-metadata.ts';
import type { EventRecord } from './event-record.ts';
import type { EventRegistry } from './event-registry.ts';

/** An event as it is handed to the database. */
export interface SerializedEvent {
  readonly id: string;
  readonly type: string;
  readonly revision: number;
  /** JSON text. */
  readonly payload: string;
  readonly binary: Buffer | null;
  /** JSON text. */
  readonly metadata: string;
  /** The instance that the caller appended. */
  readonly event: object;
  /** The metadata as a reader will get it. */
  readonly metadataObject: EventMetadata;
}

/** An event as the database hands it back. */
export interface StoredEvent {
  readonly id: string;
  readonly position: number;
  readonly aggregate: { readonly type: string; readonly id: string };
  readonly version: number;
  readonly type: string;
  readonly revision: number;
  /** JSON text. */
  readonly payload: string;
  readonly binary: Buffer | null;
  /** JSON text. */
  readonly metadata: string;
  readonly recordedAt: Date;
}

export interface EventLimits {
  /** Payload and metadata of one event together. @default 1048576 */
  readonly maxEventBytes?: number;
  /** How deep payloads, metadata and states may nest. @default 200 */
  readonly maxDepth?: number;
}

/** Turns events into what is stored, and what is stored into records. */
export class EventSerializer {
  constructor(
    private readonly registry: EventRegistry,
    private readonly codec: EventCodec,
    private readonly limits: EventLimits = {},
  ) {}

  serialize(
    events: readonly (object | EventData)[],
    metadata: EventMetadata = {},
  ): SerializedEvent[] | Promise<SerializedEvent[]> {
    throw new Error(`not yet ${events.length} ${typeof metadata} ${typeof this.registry}`);
  }

  deserialize(stored: StoredEvent): EventRecord[] {
    throw new Error(`not yet ${stored.position} ${typeof this.limits}`);
  }

  serializeState(state: object): EncodedPayload {
    return this.codec.encode(state);
  }

  deserializeState(encoded: EncodedPayload): object {
    return this.codec.decode(encoded);
  }
}
