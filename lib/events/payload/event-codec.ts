import type { DateMembers } from '../domain-event.ts';

/** What a codec knows about the payload. Without hints, the payload is the state of a snapshot. */
export interface CodecHints {
  /** The event's name, for error messages. */
  readonly type?: string;
  /**
   * The members that are Dates, as paths such as `submittedAt`, `offer.sentAt`, `lines[].shippedAt`;
   * `'schema'` if the event's schema makes them Dates after decoding. @default []
   */
  readonly dates?: DateMembers;
  /** How deep a payload may nest. @default 200 */
  readonly maxDepth?: number;
  /** The size limit: encoding may throw `EventTooLargeError` as soon as it is certain to exceed it. */
  readonly maxBytes?: number;
}

/** A payload as it is stored: readable JSON, and the exact bytes where JSON is not enough. */
export interface EncodedPayload {
  /** The text of a JSON object that PostgreSQL accepts as jsonb. */
  readonly json: string;
  readonly binary: Buffer | null;
}

/**
 * Encodes event payloads and snapshot states for storage, and decodes them.
 *
 * The decoded value equals the encoded one; otherwise `encode` throws `InvalidEventError` with the path
 * inside the value, and nothing is written. Both methods are synchronous and free of side effects.
 */
export interface EventCodec {
  encode(payload: object, hints?: CodecHints): EncodedPayload;
  /**
   * Returns a plain object, a new one for every call.
   *
   * @throws UndecodablePayloadError if this codec cannot read the bytes.
   */
  decode(encoded: EncodedPayload, hints?: CodecHints): object;
}
