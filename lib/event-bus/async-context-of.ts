import { AsyncContext, type EventBus } from '@nestjs/cqrs';

interface Publishing {
  publishAll?(events: readonly object[]): unknown;
}

/**
 * Returns the `AsyncContext` that `mergeObjectContext` or `mergeClassContext` gave to an aggregate.
 *
 * `@nestjs/cqrs` keeps the context where only the aggregate's own `publishAll` can read it. This
 * function makes the aggregate publish an empty list, as `commit()` without events does, on a bus that
 * records it.
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
