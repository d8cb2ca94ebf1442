import type { CodecHints, EncodedPayload, EventCodec } from './event-codec.ts';

/** Stores payloads as JSON, and refuses what JSON would change. */
export class JsonCodec implements EventCodec {
  encode(payload: object, hints?: CodecHints): EncodedPayload {
    throw new Error(`not yet ${typeof payload} ${typeof hints}`);
  }

  decode(encoded: EncodedPayload, hints?: CodecHints): object {
    throw new Error(`not yet ${typeof encoded} ${typeof hints}`);
  }
}
