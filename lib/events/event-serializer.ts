import { isDeepStrictEqual } from 'node:util';
import { reviveDates } from './payload/date-paths.ts';
import type { DomainEventDefinition } from './domain-event.ts';
import type { CodecHints, EncodedPayload, EventCodec } from './payload/event-codec.ts';
import { EventData } from './event-data.ts';
import { currentMetadata, type EventMetadata } from './metadata/event-metadata.ts';
import { recordOf, rememberRecord, type EventRecord } from './event-record.ts';
import { EventIds } from './event-id.ts';
import type { EventRegistry } from './event-registry.ts';
import { checkSchema, readThroughSchema } from './event-schema.ts';
import { EventTooLargeError, UndecodableEventError } from './events.errors.ts';
import { decodeJson, encodeJson } from './payload/json.codec.ts';
import { mergeMetadata } from './metadata/merge-metadata.ts';
import { partId, rememberEventId } from './part-id.ts';
import type { SerializedEvent, StoredEvent } from './stored-event.ts';
import { upcastToCurrent, type UpcastResult } from './upcast-chain.ts';
import type { UpcastPayload } from './upcaster.ts';

export type { SerializedEvent, StoredEvent } from './stored-event.ts';

export interface EventLimits {
  /** The largest size of one event in bytes, payload and metadata together. @default 1048576 */
  readonly maxEventBytes?: number;
  /** How deep payloads, metadata and states may nest. @default 200 */
  readonly maxDepth?: number;
}

/** The place in the log and in the aggregate where an event was written, and when. */
export type WrittenPlace = Pick<StoredEvent, 'position' | 'aggregate' | 'version' | 'recordedAt'>;

/** Turns events into what is stored, and what is stored into records. */
export class EventSerializer {
  readonly #registry: EventRegistry;
  readonly #codec: EventCodec;
  readonly #maxEventBytes: number;
  readonly #maxDepth: number;

  constructor(
    registry: EventRegistry,
    codec: EventCodec,
    { maxEventBytes = 1_048_576, maxDepth = 200 }: EventLimits = {},
  ) {
    this.#registry = registry;
    this.#codec = codec;
    this.#maxEventBytes = maxEventBytes;
    this.#maxDepth = maxDepth;
  }

  /**
   * Serializes the events of one append as they are at this moment; later changes to them are not
   * stored.
   *
   * Metadata is merged key by key, and the later source wins: that of `runWithMetadata`, then
   * `metadata`, then the event's own. Ids are the caller's, in lower case, or new UUIDs of version 7.
   * Returns a promise only if a schema returned one.
   *
   * @throws UnregisteredEventError if the class of an event is not registered.
   * @throws InvalidEventError if an event, its metadata or its id cannot be stored exactly.
   * @throws RepeatedEventIdError if two of the events carry the same id.
   * @throws EventTooLargeError if an event is over `maxEventBytes`.
   * @throws EventSchemaError if an event's schema refuses it.
   */
  serialize(
    events: readonly (object | EventData)[],
    metadata: EventMetadata = {},
  ): SerializedEvent[] | Promise<SerializedEvent[]> {
    const ids = new EventIds();
    let shared: EventMetadata | undefined;
    let encodedShared: EncodedMetadata | undefined;

    const serialized = events.map((item) => {
      const data = item instanceof EventData ? item : new EventData(item);
      const definition = this.#registry.definitionOf(data.event);
      shared ??= mergeMetadata(currentMetadata(), metadata, definition.name);
      const encodedMetadata =
        data.metadata === undefined
          ? (encodedShared ??= this.#encodeMetadata(shared, definition))
          : this.#encodeMetadata(mergeMetadata(shared, data.metadata, definition.name), definition);
      return this.#serialize(data, definition, encodedMetadata, ids);
    });
    const pending = this.#checkSchemas(serialized, 0);
    return pending === undefined ? serialized : pending.then(() => serialized);
  }

  /**
   * Returns the records that a stored event is read as: one, or several if it is upcast into more.
   *
   * Each event is an instance of its class with the stored members; no constructor is called.
   *
   * @throws UnknownEventTypeError if no class is registered for the type.
   * @throws UpcastError if the revision of the class cannot be reached.
   * @throws UndecodableEventError if the codec or the schema cannot read the row.
   */
  deserialize(stored: StoredEvent): EventRecord[] {
    const { id, position, aggregate, version, type, revision, recordedAt } = stored;
    const metadata = this.#decodeMetadata(stored);
    const isUpcast = this.#registry.upcasterFor(type, revision) !== undefined;
    const payload = this.#decodePayload(stored, isUpcast);
    const context = { position, aggregate, version, metadata, recordedAt };

    return upcastToCurrent({ type, revision, payload }, context, this.#registry).map(
      (result, part) => {
        const record: EventRecord = {
          id: partId(id, part),
          position,
          aggregate,
          version,
          part,
          type: result.definition.name,
          revision: result.definition.revision,
          event: this.#membersOf(result, isUpcast, stored),
          metadata,
          recordedAt,
        };
        // Remember the record first: an object whose prototype has changed takes a new field ten times
        // slower.
        rememberRecord(record);
        rememberEventId(record, id);
        Object.setPrototypeOf(record.event, result.definition.eventClass.prototype);
        return record;
      },
    );
  }

  /**
   * Returns whether a stored event equals an event that is appended under the same id: same type and
   * same decoded content. The encoded form is not compared, because a codec may encode an event
   * differently each time, and because its JSON copy may look the same for different values. If the
   * revisions differ, the content is not compared.
   */
  isSame(stored: StoredEvent, event: SerializedEvent): boolean {
    const definition = this.#registry.resolve(stored.type);
    if (definition?.name !== event.type) return false;
    if (stored.revision !== event.revision) return true;
    const { payload: json, binary } = event;
    return isDeepStrictEqual(
      this.#decodePayload(stored, false),
      this.#codec.decode({ json, binary }, this.#hintsOf(definition)),
    );
  }

  /**
   * Returns the record of an event that has just been written, with the instance that was appended.
   *
   * If this instance already belongs to a record, because it was appended before, the new record gets
   * an instance of its own, as a read would: `recordOf` knows one record for each instance.
   */
  recordWritten(serialized: SerializedEvent, place: WrittenPlace): EventRecord {
    const { id, type, revision, payload, binary, metadata, event, metadataObject } = serialized;
    const { position, aggregate, version, recordedAt } = place;
    const at = { id, position, aggregate, version };
    if (recordOf(event) !== undefined) {
      return this.deserialize({ ...at, type, revision, payload, binary, metadata, recordedAt })[0]!;
    }
    const record = { ...at, part: 0, type, revision, event, metadata: metadataObject, recordedAt };
    rememberRecord(record);
    return record;
  }

  /** Encodes the state of a snapshot. @throws InvalidEventError if it cannot be stored exactly. */
  serializeState(state: object): EncodedPayload {
    return this.#codec.encode(state, { maxDepth: this.#maxDepth });
  }

  /** Decodes the state of a snapshot as plain data. @throws UndecodablePayloadError */
  deserializeState(encoded: EncodedPayload): object {
    return this.#codec.decode(encoded);
  }

  #serialize(
    { event, id }: EventData,
    definition: DomainEventDefinition,
    metadata: EncodedMetadata,
    ids: EventIds,
  ): SerializedEvent {
    const { name: type, revision } = definition;
    const { json, binary } = this.#codec.encode(event, this.#hintsOf(definition));
    this.#checkSize(type, json + metadata.json, binary);
    return {
      id: ids.take(id, type),
      type,
      revision,
      payload: json,
      binary,
      metadata: metadata.json,
      event,
      metadataObject: metadata.object,
    };
  }

  /**
   * Checks what readers will get, one event after another, so that a failure leaves no event unchecked.
   */
  #checkSchemas(events: readonly SerializedEvent[], from: number): void | Promise<void> {
    for (let index = from; index < events.length; index++) {
      const { event, payload: json, binary } = events[index]!;
      const definition = this.#registry.definitionOf(event);
      if (definition.schema === undefined) continue;
      const payload = this.#codec.decode({ json, binary }, this.#hintsOf(definition));
      const pending = checkSchema(definition.schema, definition.name, payload);
      if (pending !== undefined) {
        return pending.then(() => this.#checkSchemas(events, index + 1));
      }
    }
  }

  #encodeMetadata(metadata: EventMetadata, { name: type }: DomainEventDefinition): EncodedMetadata {
    const hints = { type, maxDepth: this.#maxDepth, maxBytes: this.#maxEventBytes };
    const json = encodeJson(metadata, 'metadata', hints);
    return { json, object: decodeJson(json) as EventMetadata };
  }

  #checkSize(type: string, json: string, binary: Buffer | null): void {
    const binaryBytes = binary?.length ?? 0;
    // No character takes more than three bytes in UTF-8, so most events are accepted without a count.
    if (json.length * 3 + binaryBytes <= this.#maxEventBytes) return;
    const bytes = Buffer.byteLength(json) + binaryBytes;
    if (bytes > this.#maxEventBytes) throw new EventTooLargeError(type, bytes, this.#maxEventBytes);
  }

  #hintsOf({ name: type, dates }: DomainEventDefinition): CodecHints {
    return { type, dates, maxDepth: this.#maxDepth, maxBytes: this.#maxEventBytes };
  }

  #decodeMetadata({ metadata, type, position, aggregate }: StoredEvent): EventMetadata {
    if (metadata === '{}') return {};
    try {
      return decodeJson(metadata) as EventMetadata;
    } catch (cause) {
      throw new UndecodableEventError(type, position, aggregate, { cause });
    }
  }

  #decodePayload(stored: StoredEvent, isUpcast: boolean): UpcastPayload {
    const { payload: json, binary, type, position, aggregate } = stored;
    // The declared Dates are those of the newest revision; upcasters see what was stored.
    const definition = isUpcast ? undefined : this.#registry.resolve(type);
    const hints = definition && this.#hintsOf(definition);
    try {
      return this.#codec.decode({ json, binary }, hints) as UpcastPayload;
    } catch (cause) {
      throw new UndecodableEventError(type, position, aggregate, { cause });
    }
  }

  #membersOf(
    { definition, payload }: UpcastResult,
    isUpcast: boolean,
    { type, position, aggregate }: StoredEvent,
  ): object {
    const { schema, name, dates } = definition;
    try {
      if (dates === 'schema' && schema !== undefined) {
        // Spread, because the output may be frozen or shared.
        return { ...readThroughSchema(schema, name, payload) };
      }
      if (!isUpcast) return payload;
      const members = { ...payload };
      reviveDates(members, dates);
      return members;
    } catch (cause) {
      throw new UndecodableEventError(type, position, aggregate, { cause });
    }
  }
}

interface EncodedMetadata {
  readonly json: string;
  readonly object: EventMetadata;
}
