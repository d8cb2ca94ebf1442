/** What a codec is told about the payloads of one event class. */
export interface CodecHints {
  /** Members that are Dates, as paths such as `submittedAt`, `offer.sentAt`, `lines[].shippedAt`. */
  readonly dates: readonly string[];
}

/** A payload as it is stored: JSON that people can read, and the exact bytes where JSON is not enough. */
export interface EncodedPayload {
  readonly json: string;
  readonly binary: Buffer | null;
}

/**
 * Turns event payloads and snapshot states into what is stored, and back.
 *
 * What comes back equals what went in, or `encode` throws `InvalidEventError` with the path inside
 * the value and nothing is written.
 */
export interface EventCodec {
  encode(payload: object, hints?: CodecHints): EncodedPayload;
  /** Returns a plain object, fresh for every call. */
  decode(encoded: EncodedPayload, hints?: CodecHints): object;
}
