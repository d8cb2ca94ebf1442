import { dateTreeOf, reviveDates } from './date-paths.ts';
import type { CodecHints, EncodedPayload, EventCodec } from './event-codec.ts';
import { UndecodablePayloadError, unlikeStored } from '../events.errors.ts';
import { copyPayload } from './payload-copy.ts';
import { refuseUnstorableText } from './storable-payload.ts';

/**
 * Stores payloads as JSON, and refuses what JSON would change.
 *
 * As in JSON, members that are undefined, functions or symbols are dropped, `toJSON` is honoured,
 * and −0 comes back as 0; PostgreSQL reorders keys. Instances inside a payload come back as plain
 * objects. Only Dates that are declared in `dates` are accepted, and come back as Dates.
 */
export class JsonCodec implements EventCodec {
  encode(payload: object, hints: CodecHints = {}): EncodedPayload {
    return { json: encodeJson(payload, '$', hints), binary: null };
  }

  decode({ json, binary }: EncodedPayload, { dates = [] }: CodecHints = {}): object {
    if (binary !== null) {
      throw new UndecodablePayloadError(
        'was stored by BinaryCodec; configure the store with codec: new BinaryCodec()',
      );
    }
    const payload = decodeJson(json);
    reviveDates(payload, dates);
    return payload;
  }
}

/** Returns the JSON text of a payload or of metadata; `root` begins the paths in errors. */
export function encodeJson(payload: object, root: '$' | 'metadata', hints: CodecHints): string {
  const { type, dates = [], maxDepth = 200, maxBytes = Infinity } = hints;
  const copy = copyPayload(payload, {
    type,
    root,
    maxDepth,
    maxBytes,
    dates: dateTreeOf(dates),
    acceptsEveryDate: dates === 'schema',
    keepsMoreThanJson: false,
    copyBytes: () => undefined,
  });
  const json = JSON.stringify(copy);
  refuseUnstorableText(json, copy, type, root);
  return json;
}

const jsonColumn = "convert_to(payload::text, 'UTF8')";

/** @throws UndecodablePayloadError if the text is not that of a JSON object. */
export function decodeJson(json: string): object {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw unlikeStored('is not JSON', Buffer.from(json), jsonColumn, { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw unlikeStored('is not a JSON object', Buffer.from(json), jsonColumn);
  }
  return value;
}
