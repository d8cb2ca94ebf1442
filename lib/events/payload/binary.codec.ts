import { deflateSync, inflateSync } from 'node:zlib';
import { Packr } from 'msgpackr';
import { dateTreeOf } from './date-paths.ts';
import type { CodecHints, EncodedPayload, EventCodec } from './event-codec.ts';
import { unlikeStored } from '../events.errors.ts';
import { JsonCodec } from './json.codec.ts';
import { KnownOptions } from '../../input/known-options.ts';
import { showAsJson, toPackableBytes } from './packable-bytes.ts';
import { copyPayload } from './payload-copy.ts';
import { refuseUnstorableText } from './storable-payload.ts';

export interface BinaryCodecOptions {
  /** Packed payloads above this size are compressed if that makes them smaller. @default Infinity */
  readonly compressAboveBytes?: number;
}

const codecOptions = new KnownOptions<BinaryCodecOptions>('BinaryCodec', {
  compressAboveBytes: true,
});

/** The meanings of the first byte of a stored payload. They are stored, so never renumber them. */
const format = { packed: 1, deflated: 2 } as const;

/**
 * Stores payloads as MessagePack, with a readable JSON copy beside it.
 *
 * Keeps what JSON cannot: Date, Map, Set, BigInt, Buffer, ArrayBuffer, typed arrays, NaN and
 * infinities, every number, undefined in arrays. As in JSON, −0 comes back as 0, members that are
 * undefined, functions or symbols are dropped, and instances come back as plain objects. The copy
 * is for people and SQL only: it shows Map and Set as lists, BigInt as text, bytes as base64. Rows
 * that JsonCodec wrote are read as JsonCodec reads them.
 */
export class BinaryCodec implements EventCodec {
  readonly #compressAboveBytes: number;
  readonly #json = new JsonCodec();
  readonly #packr = new Packr({ moreTypes: true, copyBuffers: true, useToJSON: false });

  constructor(options: BinaryCodecOptions = {}) {
    const { compressAboveBytes = Infinity } = codecOptions.take(options);
    if (!(compressAboveBytes >= 0)) {
      throw new TypeError(`compressAboveBytes must be 0 or more, got ${compressAboveBytes}.`);
    }
    this.#compressAboveBytes = compressAboveBytes;
  }

  encode(payload: object, hints: CodecHints = {}): EncodedPayload {
    const { type, dates = [], maxDepth = 200, maxBytes = Infinity } = hints;
    const copy = copyPayload(payload, {
      type,
      root: '$',
      maxDepth,
      maxBytes,
      dates: dateTreeOf(dates),
      acceptsEveryDate: true,
      keepsMoreThanJson: true,
      copyBytes: toPackableBytes,
    });
    const json = JSON.stringify(copy, showAsJson);
    refuseUnstorableText(json, copy, type, '$');
    return { json, binary: this.#frame(this.#packr.pack(copy)) };
  }

  decode(encoded: EncodedPayload, hints?: CodecHints): object {
    if (encoded.binary === null) return this.#json.decode(encoded, hints);
    let payload: unknown;
    try {
      const maxPackedBytes = packedBytesPerCharacter * encoded.json.length + packedBytesAtLeast;
      payload = this.#packr.unpack(unframe(encoded.binary, maxPackedBytes));
    } catch (cause) {
      throw unlikeStored('cannot be unpacked', encoded.binary, 'binary_payload', { cause });
    }
    if (typeof payload !== 'object' || payload === null) {
      throw unlikeStored('is not an object', encoded.binary, 'binary_payload');
    }
    return payload;
  }

  #frame(packed: Buffer): Buffer {
    if (packed.length > this.#compressAboveBytes) {
      const deflated = deflateSync(packed);
      if (deflated.length < packed.length) {
        return Buffer.concat([Buffer.of(format.deflated), deflated]);
      }
    }
    return Buffer.concat([Buffer.of(format.packed), packed]);
  }
}

/**
 * The most bytes that a packed payload takes for each character of its JSON copy: text outside of ASCII
 * takes 3 bytes, and `0.5,` in a list takes 9. `maxEventBytes` bounds the copy, so this bounds what is
 * unpacked: a row of a few bytes that another program has written cannot become a gigabyte.
 */
const packedBytesPerCharacter = 4;
const packedBytesAtLeast = 1_024;

function unframe(binary: Buffer, maxPackedBytes: number): Buffer {
  const content = binary.subarray(1);
  switch (binary[0]) {
    case format.packed:
      return content;
    case format.deflated:
      return inflateSync(content, { maxOutputLength: maxPackedBytes });
    default:
      throw new RangeError(`A payload of format ${binary[0]} is not one of this version.`);
  }
}
