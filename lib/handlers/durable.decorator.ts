import type { EventClass } from '../events/domain-event.decorator.ts';
import { ownOptions } from '../input/known-options.ts';
import { consumerOptionNames, type ConsumerOptions } from '../subscriptions/consumer-options.ts';

export interface DurableOptions extends ConsumerOptions {
  /** The events that a saga sees; only for sagas. @default every event class of the store */
  readonly events?: readonly EventClass[];
}

/** What `@Durable` says about a class of event handlers, or about one saga of a class. */
export interface DurableDefinition {
  readonly name: string;
  readonly options: DurableOptions;
  /** The method of the saga; `undefined` if the class itself is the handler. */
  readonly saga: string | undefined;
}

// In the global symbol registry, so that two copies of this package in one process share the key.
const definitionsKey = Symbol.for('nest-event-store:durable');

type HandlerClass = abstract new (...args: never[]) => unknown;

/**
 * Makes an `@EventsHandler` class, or a `@Saga` method, durable: it follows the log under this name,
 * which is stored with its checkpoint and must not change.
 *
 * Every event is delivered at least once, in the order of the log, across crashes and restarts. One
 * process at a time delivers, and awaits each event before the next. The `EventBus` no longer calls the
 * handler. A new handler begins with the events that are appended from then on, unless it has
 * `from: 'start'`. The order of the two decorators does not matter.
 *
 * A durable saga runs again for each event, on an observable of that event alone, and the commands that
 * it emits are awaited. An operator that needs to see several events (`scan`, `pairwise`, `buffer`,
 * `debounceTime` …) would lose its memory with the process, so such a saga cannot be durable: keep
 * that state in a projection.
 *
 * The guards, interceptors and filters that `@UseGuards`, `@UseInterceptors` and `@UseFilters` give to
 * the class or its `handle` run in an execution context of the type `'event-store'`. Those of the
 * application do not run: they were made for requests. A guard that refuses makes the event fail. A
 * filter settles the event only by returning a value or a promise of one; after `undefined` or `null`
 * the event has failed. Each exception is also published on the `UnhandledExceptionBus`, at every
 * attempt.
 *
 * @example
 * @Durable('letters')
 * @EventsHandler(ApplicationApproved)
 * export class Letters implements IEventHandler<ApplicationApproved> { … }
 */
export const Durable =
  (name: string, options: DurableOptions = {}) =>
  (target: object, saga?: string | symbol): void => {
    const handlerClass = typeof target === 'function' ? target : target.constructor;
    const own: DurableDefinition[] =
      Object.getOwnPropertyDescriptor(handlerClass, definitionsKey)?.value ?? [];
    const given = ownOptions(`@Durable('${name}')`, options, [...consumerOptionNames, 'events']);
    const definition: DurableDefinition = { name, options: given, saga: saga?.toString() };
    Object.defineProperty(handlerClass, definitionsKey, {
      value: [...own, definition],
      configurable: true,
    });
  };

/** Returns what `@Durable` on this class itself says about the class and its sagas. */
export function durablesOf(handlerClass: HandlerClass): readonly DurableDefinition[] {
  return Object.getOwnPropertyDescriptor(handlerClass, definitionsKey)?.value ?? [];
}
