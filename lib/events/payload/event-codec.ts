import type { DateMembers } from '../domain-event.ts';

/** What a codec knows about the payload; without hints, it is the state of a snapshot. */
export interface CodecHints {
  /** The event's name, for the messages of errors. */
  readonly type?: string;
  /**
   * Members that are Dates, as paths such as `submittedAt`, `offer.sentAt`, `lines[].shippedAt`;
   * `'schema'` if the event's schema makes them Dates after decoding. @default []
   */
  readonly dates?: DateMembers;
  /** How deep a payload may nest. @default 200 */
  readonly maxDepth?: number;
  /** Encoding may stop with `EventTooLargeError` as soon as more bytes than this are certain. */
  readonly maxBytes?: number;
}

/** A payload as it is stored: JSON that people can read, and the exact bytes where JSON is not enough. */
export interface EncodedPayload {
  /** The text of a JSON object that PostgreSQL accepts as jsonb. */
  readonly json: string;
  readonly binary: Buffer | null;
}

/**
 * Turns event payloads and snapshot states into what is stored, and back.
 *
 * What comes back equals what went in, or `encode` throws `InvalidEventError` with the path inside
 * the value and nothing is written. Both are synchronous and free of side effects.
 */
export interface EventCodec {
  encode(payload: object, hints?: CodecHints): EncodedPayload;
  /**
   * Returns a plain object, fresh for every call.
   *
   * @throws UndecodablePayloadError if the bytes are not what this codec reads.
   */
  decode(encoded: EncodedPayload, hints?: CodecHints): object;
}
