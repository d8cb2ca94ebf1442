import type { EventClass } from '../events/domain-event.decorator.ts';
import { ownOptions } from '../input/known-options.ts';
import { consumerOptionNames, type ConsumerOptions } from '../subscriptions/consumer-options.ts';

export interface DurableOptions extends ConsumerOptions {
  /** For a saga: the events that it sees. @default every event class of the store */
  readonly events?: readonly EventClass[];
}

/** What `@Durable` says about a class of event handlers, or about one saga of a class. */
export interface DurableDefinition {
  readonly name: string;
  readonly options: DurableOptions;
  /** The method of the saga; `undefined` where the class itself is the handler. */
  readonly saga: string | undefined;
}

// Registered, so that two copies of this package in one process understand each other's classes.
const definitionsKey = Symbol.for('nest-event-store:durable');

type HandlerClass = abstract new (...args: never[]) => unknown;

/**
 * Makes an `@EventsHandler` class, or a `@Saga` method, durable: it follows the log under this name,
 * which is stored with its checkpoint and must not change.
 *
 * Every event is handed over at least once, in the order of the log, and awaited before the next one,
 * by one process at a time, across crashes and restarts. The `EventBus` no longer calls it. A handler
 * that is new begins with the events that are appended from then on, unless `from: 'start'` says
 * otherwise. The order of the two decorators does not matter.
 *
 * A durable saga is run again for each event, on an observable of that event alone, and the commands
 * it emits are awaited. What needs to see several events (`scan`, `pairwise`, `buffer`, `debounceTime`
 * …) would lose its memory with the process and cannot be durable: keep it in a projection.
 *
 * Guards, interceptors and filters that `@UseGuards`, `@UseInterceptors` and `@UseFilters` give to the
 * class or its `handle` run, in an execution context of the type `'event-store'`. Those of the
 * application do not: they were made for requests. A guard that refuses is a failure of the event. A
 * filter settles the event only by returning a value, or a promise of one; after `undefined` or `null`
 * the event has failed. Each exception also goes to the `UnhandledExceptionBus`, at every attempt.
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

/** Returns what `@Durable` says about this very class and its sagas. */
export function durablesOf(handlerClass: HandlerClass): readonly DurableDefinition[] {
  return Object.getOwnPropertyDescriptor(handlerClass, definitionsKey)?.value ?? [];
}
