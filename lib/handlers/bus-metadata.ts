import type { EventClass } from '../events/domain-event.decorator.ts';

/** A class that may have an `@EventsHandler` or sagas. */
export type HandlerClass = abstract new (...args: never[]) => unknown;

type SagaKey = string | symbol;

// Metadata keys that @nestjs/cqrs 11 and 12 read when they bind handlers and sagas, but do not export.
const handledEventsKey = '__eventsHandler__';
const sagasKey = '__saga__';

// In the global symbol registry, so that two copies of this package in one process share the key.
const takenKey = Symbol.for('nest-event-store:taken-off-the-bus');

/** What the decorators said about a class before it was taken off the bus. */
interface Taken {
  readonly events?: readonly EventClass[];
  readonly sagas?: readonly SagaKey[];
}

/** Returns the events of the `@EventsHandler` of a class or its parent, even after it left the bus. */
export const eventsHandledBy = (handlerClass: HandlerClass): readonly EventClass[] | undefined =>
  nearest(handlerClass, ownEventsHandledBy);

/** Returns the events of the `@EventsHandler` on this class itself, even after it left the bus. */
export const ownEventsHandledBy = (handlerClass: object): readonly EventClass[] | undefined =>
  takenFrom(handlerClass).events ??
  (Reflect.getOwnMetadata(handledEventsKey, handlerClass) as EventClass[] | undefined);

/** Returns the members with `@Saga`, inherited ones included, even after they left the bus. */
export const sagasOf = (handlerClass: HandlerClass): readonly SagaKey[] =>
  nearest(
    handlerClass,
    (each) =>
      takenFrom(each).sagas ?? (Reflect.getOwnMetadata(sagasKey, each) as SagaKey[] | undefined),
  ) ?? [];

/**
 * Keeps `@nestjs/cqrs` from binding a class to its `EventBus`, in this application and all later ones
 * of the process. A second call does nothing.
 */
export function takeHandlerOffBus(handlerClass: HandlerClass): void {
  remember(handlerClass, { events: eventsHandledBy(handlerClass) ?? [] });
  // Not deleted: the metadata of the parent would then apply.
  Reflect.defineMetadata(handledEventsKey, undefined, handlerClass);
}

/** Keeps one saga of a class off the bus; the other sagas of the class stay on it. */
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
