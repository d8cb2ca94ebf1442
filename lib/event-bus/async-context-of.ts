import { AsyncContext, type EventBus } from '@nestjs/cqrs';

interface Publishing {
  publishAll?(events: readonly object[]): unknown;
}

/**
 * Returns the `AsyncContext` that `mergeObjectContext` or `mergeClassContext` has given to an aggregate.
 *
 * `@nestjs/cqrs` keeps it where only the aggregate's own `publishAll` finds it. So the aggregate publishes
 * nothing, as `commit()` does when there are no events, and the bus notes the context instead.
 */
export function asyncContextOf(aggregate: Publishing, bus: EventBus): AsyncContext | undefined {
  let context: unknown;
  const before = Object.getOwnPropertyDescriptor(bus, 'publishAll');
  const note = (_events: unknown, dispatcher: unknown, asyncContext?: unknown): void => {
    context = asyncContext ?? dispatcher;
  };
  Object.defineProperty(bus, 'publishAll', { value: note, configurable: true, writable: true });
  try {
    // A class may have a publishAll of its own, even one that is asynchronous.
    Promise.resolve(aggregate.publishAll?.([])).catch(ignore);
  } catch {
    return undefined;
  } finally {
    if (before) Object.defineProperty(bus, 'publishAll', before);
    else Reflect.deleteProperty(bus, 'publishAll');
  }
  return context instanceof AsyncContext ? context : undefined;
}

const ignore = (): void => undefined;
