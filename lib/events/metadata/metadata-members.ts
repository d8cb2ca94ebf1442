/** A value that JSON keeps as it is. */
export type JsonValue =
  string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue | undefined };

/**
 * The metadata that is stored with an event: its actor, its cause, and what the caller adds.
 *
 * Metadata is a JSON object whose five named members are text. `correlationId` is shared by everything
 * that one request caused. `causationId` is the stored id of the event to which a handler reacted.
 */
export interface EventMetadata {
  readonly correlationId?: string;
  readonly causationId?: string;
  readonly actor?: string;
  readonly tenant?: string;
  readonly traceparent?: string;
  readonly [key: string]: JsonValue | undefined;
}
