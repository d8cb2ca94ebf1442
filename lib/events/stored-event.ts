import type { EventMetadata } from './metadata/event-metadata.ts';

/** An event as it is sent to the database. */
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
  /** The metadata as readers will get it. */
  readonly metadataObject: EventMetadata;
}

/** An event as the database returns it. */
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
