import type { InjectionToken } from '@nestjs/common';
import { AsyncContext, type IEventHandler } from '@nestjs/cqrs';
import type { ContextId, ExternalContextCreator, ModuleRef } from '@nestjs/core';

/** A class with `@EventsHandler` as a provider of the application. */
export interface HandlerProvider {
  readonly token: InjectionToken;
  /** What Nest knows the provider by among those that have request-scoped guards and the like. */
  readonly id: string;
  /** The one instance there is; `undefined` if Nest makes one for each event. */
  readonly instance: IEventHandler | undefined;
}

// Nest takes a method as a function, and applies it to the instance itself.
type Methods = Record<string, (...args: unknown[]) => unknown>;

/**
 * Calls the `handle` of a provider as Nest calls a route: behind its guards, interceptors and filters,
 * and those of the application, in an execution context of the type `'event-store'`.
 *
 * A guard that refuses is a failure, a `ForbiddenException`. A filter settles the event by returning
 * something, a promise for example; if it returns nothing or throws, the event has failed.
 * Request-scoped handlers get an `AsyncContext` as their `REQUEST`, as they do on the bus.
 */
export function durableHandler(
  { token, id, instance }: HandlerProvider,
  moduleRef: ModuleRef,
  contextCreator: ExternalContextCreator,
): (event: object) => Promise<unknown> {
  const enhance = (handler: IEventHandler, contextId?: ContextId, inquirerId?: string) => {
    const methods = handler as object as Methods;
    return contextCreator.create(
      methods,
      methods['handle']!,
      'handle',
      undefined,
      undefined,
      contextId,
      inquirerId,
      { guards: true, interceptors: true, filters: true },
      'event-store',
    );
  };

  if (instance) {
    let handle: ReturnType<typeof enhance> | undefined;
    // Not before the first event: until then the application may still be given global guards.
    return async (event) => (handle ??= enhance(instance))(event);
  }
  return async (event) => {
    const context = new AsyncContext();
    moduleRef.registerRequestByContextId(context, context.id);
    const handler = await moduleRef.resolve<IEventHandler>(token, context.id, { strict: false });
    return enhance(handler, context.id, id)(event);
  };
}
