import { createHash } from 'node:crypto';
import { EventStoreError } from '../event-store.error.ts';
import type { EventRecord } from './event-record.ts';
import { errorOf } from '../input/thrown-error.ts';

const cap = (text: string): string => (text.length > 80 ? `${text.slice(0, 80)}…` : text);
const subject = (eventType: string | undefined, path = '$'): string => {
  if (eventType !== undefined) return `Event ${cap(eventType)}`;
  return path.startsWith('metadata') ? 'An event with this metadata' : "A snapshot's state";
};

/** An event, its metadata or a snapshot's state cannot be stored exactly. Nothing was written. */
export class InvalidEventError extends EventStoreError {
  readonly code: string = 'INVALID_EVENT';

  constructor(
    /** The event's name; `undefined` for the state of a snapshot and in `runWithMetadata`. */
    readonly eventType: string | undefined,
    /** The path of the refused value: `$.lines[2].sku` inside the event, `metadata.actor`, or `id`. */
    readonly path: string,
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(
      `${subject(eventType, path)} cannot be stored: ${path} ${reason}. Nothing was written.`,
      options,
    );
  }
}

/** Two events of one append carry the same id. Nothing was written. */
export class RepeatedEventIdError extends InvalidEventError {
  override readonly code = 'REPEATED_EVENT_ID';

  constructor(
    eventType: string,
    readonly eventId: string,
  ) {
    super(eventType, 'id', `(${eventId}) is the id of an earlier event of the same append`);
  }
}

/** An event takes more bytes than the store was configured to accept. Nothing was written. */
export class EventTooLargeError extends EventStoreError {
  readonly code = 'EVENT_TOO_LARGE';

  constructor(
    /** The event's name; `undefined` for the state of a snapshot. */
    readonly eventType: string | undefined,
    /** The bytes counted so far; the whole event may be larger. */
    readonly bytes: number,
    readonly maxEventBytes: number,
  ) {
    super(
      `${subject(eventType)} takes at least ${bytes} bytes, over maxEventBytes ` +
        `(${maxEventBytes}); nothing was written. Keep large content elsewhere and store a ` +
        'reference to it, or raise maxEventBytes.',
    );
  }
}

/** An event's schema does not accept its data: at an append or, as a `cause`, at a read. */
export class EventSchemaError extends EventStoreError {
  readonly code = 'EVENT_SCHEMA';
  // Not an enumerable field: some schema libraries quote the refused value, and loggers print fields.
  readonly #issues: readonly EventSchemaIssue[];

  constructor(
    readonly eventType: string,
    issues: readonly EventSchemaIssue[],
    options?: ErrorOptions,
  ) {
    const paths = issues.slice(0, 5).map((issue) => issue.path);
    super(
      issues.length === 0
        ? `The schema of event ${cap(eventType)} failed to answer; see the cause.`
        : `The schema of event ${cap(eventType)} does not accept ${paths.join(', ')}` +
            `${issues.length > 5 ? `, and ${issues.length - 5} more` : ''}. ` +
            'The reasons are in `issues`.',
      options,
    );
    this.#issues = issues;
  }

  /** What the schema objects to, in its own words; empty if it failed to answer. */
  get issues(): readonly EventSchemaIssue[] {
    return this.#issues;
  }
}

/** One objection of a schema. */
export interface EventSchemaIssue {
  /** The path of the refused value, such as `$.lines[2].sku`. */
  readonly path: string;
  readonly message: string;
}

/** The class of an event is not registered. Nothing was written. */
export class UnregisteredEventError extends EventStoreError {
  readonly code = 'UNREGISTERED_EVENT';

  constructor(
    readonly className: string,
    readonly decorated: boolean,
  ) {
    super(
      decorated
        ? `The event class ${className} is not registered. Add it to ` +
            `EventStoreModule.forFeature({ events: [${className}] }).`
        : `The class ${className} has no @DomainEvent of its own. Name it with ` +
            `@DomainEvent('…') and add it to EventStoreModule.forFeature({ events: [${className}] }).`,
    );
  }
}

/** No class is registered for the type of a stored event. */
export class UnknownEventTypeError extends EventStoreError {
  readonly code = 'UNKNOWN_EVENT_TYPE';

  constructor(
    readonly type: string,
    readonly position: number,
    readonly aggregate: EventRecord['aggregate'],
    readonly nearest: string | undefined,
  ) {
    super(
      `The event at position ${position} is of type ${cap(type)}, which no class is registered for` +
        `${nearest === undefined ? '' : ` (the nearest name is ${nearest})`}. Register its class ` +
        'in EventStoreModule.forFeature({ events: […] }), or add the name to the `aliases` of ' +
        'the class that replaced it.',
    );
  }
}

/** A stored event could not be brought to the revision of its class. */
export class UpcastError extends EventStoreError {
  readonly code = 'UPCAST';

  constructor(
    readonly type: string,
    readonly revision: number,
    readonly position: number,
    readonly aggregate: EventRecord['aggregate'],
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(
      `The event at position ${position}, ${cap(type)} at revision ${revision}, cannot be upcast: ` +
        `${reason}.`,
      options,
    );
  }
}

/** The codec cannot read the stored bytes of a payload. */
export class UndecodablePayloadError extends EventStoreError {
  readonly code = 'UNDECODABLE_PAYLOAD';

  constructor(reason: string, options?: ErrorOptions) {
    super(`The payload ${reason}.`, options);
  }
}

/**
 * Returns the error for a payload that the codec cannot have stored. Its message asks for a comparison
 * of the bytes before a row is changed: whatever is between the row and the codec may have changed
 * them.
 */
export function unlikeStored(
  what: string,
  read: Buffer,
  column: string,
  options?: ErrorOptions,
): UndecodablePayloadError {
  const digest = createHash('sha256').update(read).digest('hex');
  return new UndecodablePayloadError(
    `${what}. What was read has ${read.length} bytes and the SHA-256 ${digest}: compare that with ` +
      `sha256(${column}) of its row. If they are equal, the row is damaged: restore it from a backup. ` +
      'If not, the row is sound, and something between the database and the codec changes bytes',
    options,
  );
}

/**
 * A stored event cannot be read: its row was changed, or the settings differ from those it was written
 * with.
 */
export class UndecodableEventError extends EventStoreError {
  readonly code = 'UNDECODABLE_EVENT';

  constructor(
    readonly type: string,
    readonly position: number,
    readonly aggregate: EventRecord['aggregate'],
    options: ErrorOptions,
  ) {
    // Only our own messages are free of payloads: JSON.parse, for one, quotes what it refuses.
    const cause = errorOf(options.cause);
    const reason = cause instanceof EventStoreError ? cause.message : 'See the cause.';
    super(
      `The event at position ${position}, of type ${cap(type)}, cannot be decoded. ${reason}`,
      options,
    );
  }
}
