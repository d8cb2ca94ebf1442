import {
  UndecodableEventError,
  UnknownEventTypeError,
  UpcastError,
} from '../events/events.errors.ts';

/** An error about one stored event, which names its position and its aggregate. */
export type UnreadableEventError = UnknownEventTypeError | UpcastError | UndecodableEventError;

/** Tells whether a read failed because of one stored event that it came upon. */
export function isUnreadable(error: unknown): error is UnreadableEventError {
  return (
    error instanceof UnknownEventTypeError ||
    error instanceof UpcastError ||
    error instanceof UndecodableEventError
  );
}
