import type { CodecHints, EncodedPayload, EventCodec } from './event-codec.ts';

export interface BinaryCodecOptions {
  /** Payloads above this size are compressed with zlib if that makes them smaller. @default Infinity */
  readonly compressAboveBytes?: number;
}

/** Stores payloads as MessagePack, with a readable JSON copy beside it. */
export class BinaryCodec implements EventCodec {
  readonly #compressAboveBytes: number;

  constructor(options: BinaryCodecOptions = {}) {
    this.#compressAboveBytes = options.compressAboveBytes ?? Infinity;
  }

  encode(payload: object, hints?: CodecHints): EncodedPayload {
    throw new Error(`not yet ${typeof payload} ${typeof hints} ${this.#compressAboveBytes}`);
  }

  decode(encoded: EncodedPayload, hints?: CodecHints): object {
    throw new Error(`not yet ${typeof encoded} ${typeof hints}`);
  }
}
