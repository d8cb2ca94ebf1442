/** A value that JSON keeps as it is. */
export type JsonValue =
  string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue | undefined };

/**
 * What is stored beside an event: its actor, its cause, and whatever else the caller adds.
 *
 * A JSON object, whose five named members are text. `correlationId` is shared by everything that one request set in motion;
 * `causationId` is the id under which the event is stored that a handler was reacting to.
 */
export interface EventMetadata {
  readonly correlationId?: string;
  readonly causationId?: string;
  readonly actor?: string;
  readonly tenant?: string;
  readonly traceparent?: string;
  readonly [key: string]: JsonValue | undefined;
}
