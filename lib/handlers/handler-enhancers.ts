import { ExternalContextCreator, type ContextId, type NestContainer } from '@nestjs/core';
import type { IEventHandler } from '@nestjs/cqrs';
import { isObservable, lastValueFrom } from 'rxjs';

/** The call of the `handle` of a durable handler. */
export type HandleEvent = (event: object) => Promise<unknown>;

/** Calls `handle` inside the guards, interceptors and filters of its class and method. */
export type EnhanceHandler = (
  handler: IEventHandler,
  providerId: string,
  contextId?: ContextId,
) => HandleEvent;

// The part of Nest's exceptions handler that is used here, as in Nest 11 and 12.
interface ExceptionsHandler {
  invokeCustomFilters(error: unknown, host: unknown): unknown;
}
interface ErrorProxy {
  createProxy(
    target: HandleEvent,
    handler: { next(error: unknown, host: unknown): unknown },
    type: string,
  ): HandleEvent;
}

// Nest takes a method as a plain function and applies it to the instance itself.
type Methods = Record<string, (...args: unknown[]) => unknown>;

/**
 * Returns a function that calls handlers inside the guards, interceptors and filters of their own class
 * and method, in an execution context of the type `'event-store'`.
 *
 * Those of the application are left out, as for handlers on the bus: they were made for requests, and a
 * guard that expects a request would refuse or swallow every event. Nest finds them through the
 * configuration of the application, so its context creator gets a container without a configuration.
 */
export function handlerEnhancers(container: NestContainer): EnhanceHandler {
  const creator = ExternalContextCreator.fromContainer(
    Object.create(container, { applicationConfig: { value: undefined } }) as NestContainer,
  );
  const ofNest = creator['externalErrorProxy'] as unknown as ErrorProxy;
  const settling = {
    createProxy: (target: HandleEvent, handler: unknown, type: string): HandleEvent =>
      ofNest.createProxy(
        target,
        { next: (error, host) => settle(handler as ExceptionsHandler, error, host) },
        type,
      ),
  };
  Object.assign(creator, { externalErrorProxy: settling });

  return (handler, providerId, contextId) => {
    const methods = handler as object as Methods;
    return creator.create(
      methods,
      methods['handle']!,
      'handle',
      undefined,
      undefined,
      contextId,
      providerId,
      { guards: true, interceptors: true, filters: true },
      'event-store',
    );
  };
}

/**
 * Settles an error only if a filter returns a value. Nest itself accepts the promise of an asynchronous
 * filter as an answer before it settles, and would count a lost event as handled.
 */
async function settle(handler: ExceptionsHandler, error: unknown, host: unknown): Promise<unknown> {
  const answer = await handler.invokeCustomFilters(error, host);
  const value = isObservable(answer)
    ? await lastValueFrom(answer, { defaultValue: undefined })
    : answer;
  if (value === undefined || value === null) throw error;
  return value;
}
