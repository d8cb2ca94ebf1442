import type { ModuleRef } from '@nestjs/core';
import type { CommandBus } from '@nestjs/cqrs';
import type { EventClass } from '../events/domain-event.decorator.ts';
import { resolveConsumerOptions } from '../subscriptions/consumer-options.ts';
import type { Consumer, ConsumerKind } from '../subscriptions/consumer.ts';
import type { DurableDefinition } from './durable.decorator.ts';
import {
  eventsHandledBy,
  sagasOf,
  takeHandlerOffBus,
  takeSagaOffBus,
  type HandlerClass,
} from './bus-metadata.ts';
import { durableHandler, type HandlerProvider } from './durable-handler.ts';
import { durableSaga } from './durable-saga.ts';
import type { EnhanceHandler } from './handler-enhancers.ts';
import { oneByOne } from './one-by-one.ts';
import { reporting, type ReportException } from './unhandled-exceptions.ts';

/** What durable handlers and sagas need from the application and its store. */
export interface DurableSurroundings {
  readonly moduleRef: ModuleRef;
  readonly enhance: EnhanceHandler;
  readonly commandBus: CommandBus | undefined;
  readonly report: ReportException;
  /** Handlers are called only after this: earlier, the buses may not have what a handler needs. */
  readonly ready: Promise<void>;
  /** Every event class of the store. */
  readonly events: readonly EventClass[];
}

/** A consumer that was found, or its problems, each one sentence with its remedy. */
export interface FoundConsumer {
  readonly consumer?: Consumer;
  readonly problems: readonly string[];
}

/**
 * Creates the consumer that a `@Durable` describes, and takes its handler or saga off the `EventBus`.
 */
export function durableConsumer(
  definition: DurableDefinition,
  handlerClass: HandlerClass,
  provider: HandlerProvider,
  surroundings: DurableSurroundings,
): FoundConsumer {
  const { name, saga } = definition;
  const where = `@Durable('${name}') on ${handlerClass.name}${saga === undefined ? '' : `.${saga}`}`;
  const { events, ...options } = definition.options;
  const { settings, problems } = resolveConsumerOptions(where, options, 'now');
  const found = (
    kind: ConsumerKind,
    taken: readonly EventClass[],
    deliver: Consumer['deliver'],
  ): FoundConsumer => ({
    consumer: { name, kind, events: taken, settings, hooks: {}, deliver },
    problems,
  });
  const refused = (problem: string): FoundConsumer => ({
    problems: [...problems, `${where} ${problem}`],
  });

  if (saga === undefined) {
    const handled = eventsHandledBy(handlerClass);
    if (!handled) {
      return refused(
        'finds no @EventsHandler there. Add it, or move @Durable to the @Saga it is for.',
      );
    }
    if (handled.length === 0) return refused('takes no event. Name one in @EventsHandler(…).');
    if (events)
      return refused(
        'has `events`, but @EventsHandler names the events of a handler. Remove them.',
      );
    takeHandlerOffBus(handlerClass);
    const { moduleRef, enhance, report, ready } = surroundings;
    const handle = reporting(durableHandler(provider, moduleRef, enhance), report);
    return found('handler', handled, oneByOne(ready, handle));
  }

  const key = sagasOf(handlerClass).find((each) => each.toString() === saga);
  if (key === undefined) return refused('finds no @Saga() there. Add it.');
  if (events && (events.length === 0 || events.some((each) => typeof each !== 'function'))) {
    return refused('must name classes in `events`, or leave the option out to see all events.');
  }
  const { instance } = provider;
  if (!instance) {
    return refused(
      'belongs to a class that is transient or request-scoped, or injects something that is. No ' +
        'request belongs to a saga: make the class and what it injects singletons.',
    );
  }
  const { commandBus, report, ready } = surroundings;
  if (!commandBus) {
    return refused(
      'finds no CommandBus for its commands. Import CqrsModule.forRoot() of @nestjs/cqrs in your ' +
        "application's module.",
    );
  }
  takeSagaOffBus(handlerClass, key);
  const react = durableSaga({ consumer: name, instance, key }, commandBus, report);
  return found('saga', events ?? surroundings.events, oneByOne(ready, react));
}
