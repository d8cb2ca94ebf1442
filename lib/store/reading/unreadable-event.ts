import {
  UndecodableEventError,
  UnknownEventTypeError,
  UpcastError,
} from '../../events/events.errors.ts';
import { type LogMark, type LogPlace, markOf } from './log-place.ts';

/** An error about one stored event, which names its position and its aggregate. */
export type UnreadableEventError = UnknownEventTypeError | UpcastError | UndecodableEventError;

const marks = new WeakMap<UnreadableEventError, LogMark>();

/** Records which event made a read fail, so that a reader can skip it. */
export function noteUnreadable(error: unknown, event: LogMark): void {
  if (isUnreadable(error)) marks.set(error, markOf(event));
}

/** Returns the place from which a reader continues after an event that cannot be read. */
export const placeAfter = (error: UnreadableEventError): LogPlace => ({
  position: error.position,
  mark: marks.get(error) ?? null,
});

/** Returns whether a read failed because of one stored event. */
export function isUnreadable(error: unknown): error is UnreadableEventError {
  return (
    error instanceof UnknownEventTypeError ||
    error instanceof UpcastError ||
    error instanceof UndecodableEventError
  );
}
