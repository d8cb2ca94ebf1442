import type { InjectionToken } from '@nestjs/common';
import { AsyncContext, type IEventHandler } from '@nestjs/cqrs';
import type { ModuleRef } from '@nestjs/core';
import type { EnhanceHandler, HandleEvent } from './handler-enhancers.ts';

/** A provider whose class has an `@EventsHandler`. */
export interface HandlerProvider {
  readonly token: InjectionToken;
  /** The id under which Nest keeps what belongs to one provider, such as its guards. */
  readonly id: string;
  /** The single instance; `undefined` if Nest creates one for each event. */
  readonly instance: IEventHandler | undefined;
}

/**
 * Calls the `handle` of a provider inside the guards, interceptors and filters of its class and method.
 *
 * A guard that refuses counts as a failure, a `ForbiddenException`. A filter settles the event by
 * returning a value or a promise of one; if it returns `undefined` or `null`, or throws, the event has
 * failed. Request-scoped handlers get an `AsyncContext` as their `REQUEST`, as they do on the bus.
 */
export function durableHandler(
  { token, id, instance }: HandlerProvider,
  moduleRef: ModuleRef,
  enhance: EnhanceHandler,
): HandleEvent {
  if (instance) {
    let handle: HandleEvent | undefined;
    return async (event) => (handle ??= enhance(instance, id))(event);
  }
  return async (event) => {
    const context = new AsyncContext();
    moduleRef.registerRequestByContextId(context, context.id);
    const handler = await moduleRef.resolve<IEventHandler>(token, context.id, { strict: false });
    return enhance(handler, id, context.id)(event);
  };
}
