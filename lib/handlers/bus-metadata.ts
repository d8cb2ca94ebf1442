import type { EventClass } from '../events/domain-event.decorator.ts';

/** A class that may have an `@EventsHandler` or sagas. */
export type HandlerClass = abstract new (...args: never[]) => unknown;

type SagaKey = string | symbol;

// What @nestjs/cqrs 11 and 12 read when they bind handlers and sagas; not among their exports.
const handledEventsKey = '__eventsHandler__';
const sagasKey = '__saga__';

// Registered, so that two copies of this package in one process find what the other has taken.
const takenKey = Symbol.for('nest-event-store:taken-off-the-bus');

/** What the decorators said about a class before it was taken off the bus. */
interface Taken {
  readonly events?: readonly EventClass[];
  readonly sagas?: readonly SagaKey[];
}

/** Returns the events of a class's `@EventsHandler`, or of its parent's, also once taken off the bus. */
export const eventsHandledBy = (handlerClass: HandlerClass): readonly EventClass[] | undefined =>
  nearest(handlerClass, ownEventsHandledBy);

/** Returns the events of the `@EventsHandler` on this very class, also once taken off the bus. */
export const ownEventsHandledBy = (handlerClass: object): readonly EventClass[] | undefined =>
  takenFrom(handlerClass).events ??
  (Reflect.getOwnMetadata(handledEventsKey, handlerClass) as EventClass[] | undefined);

/** Returns the members with `@Saga`, those of parents included, also once taken off the bus. */
export const sagasOf = (handlerClass: HandlerClass): readonly SagaKey[] =>
  nearest(
    handlerClass,
    (each) =>
      takenFrom(each).sagas ?? (Reflect.getOwnMetadata(sagasKey, each) as SagaKey[] | undefined),
  ) ?? [];

/**
 * Keeps `@nestjs/cqrs` from binding a class to its `EventBus`, in this and all later applications of
 * the process. Does nothing the second time.
 */
export function takeHandlerOffBus(handlerClass: HandlerClass): void {
  remember(handlerClass, { events: eventsHandledBy(handlerClass) ?? [] });
  // Not deleted: that would bring the parent's to light.
  Reflect.defineMetadata(handledEventsKey, undefined, handlerClass);
}

/** The same for one saga of a class; its other sagas stay on the bus. */
export function takeSagaOffBus(handlerClass: HandlerClass, saga: SagaKey): void {
  remember(handlerClass, { sagas: sagasOf(handlerClass) });
  const bound = (Reflect.getMetadata(sagasKey, handlerClass) as SagaKey[] | undefined) ?? [];
  const left = bound.filter((each) => each !== saga);
  Reflect.defineMetadata(sagasKey, left.length > 0 ? left : undefined, handlerClass);
}

function takenFrom(handlerClass: object): Taken {
  return (Object.getOwnPropertyDescriptor(handlerClass, takenKey)?.value as Taken) ?? {};
}

function remember(handlerClass: object, taken: Taken): void {
  Object.defineProperty(handlerClass, takenKey, {
    value: { ...taken, ...takenFrom(handlerClass) },
    configurable: true,
  });
}

function nearest<T>(handlerClass: HandlerClass, read: (each: object) => T | undefined) {
  for (
    let each: unknown = handlerClass;
    typeof each === 'function';
    each = Object.getPrototypeOf(each)
  ) {
    const value = read(each);
    if (value !== undefined) return value;
  }
  return undefined;
}
