import type { EventRecord } from '../events/event-record.ts';
import type { Consumer, GenerationHooks } from '../subscriptions/consumer.ts';
import { resolveConsumerOptions } from '../subscriptions/consumer-options.ts';
import type { ProjectionContext, ProjectionDefinition } from './projection.decorator.ts';

/** Makes the consumer that a `@Projection` describes, and reports the problems of the description. */
export function projectionConsumer(
  projection: object,
  definition: ProjectionDefinition,
): { readonly consumer: Consumer; readonly problems: readonly string[] } {
  const { name, methods, batchMethods } = definition;
  const { mode, ...options } = definition.options;
  const { settings, problems } = resolveConsumerOptions(`@Projection('${name}')`, options, 'start');
  const apply =
    batchMethods.size > 0 ? inBatches(projection, definition) : oneByOne(projection, definition);
  const consumer: Consumer = {
    name,
    kind: mode === 'inline' ? 'inline-projection' : 'projection',
    events: [...new Set([...methods.keys(), ...[...batchMethods.values()].flat()])],
    settings,
    hooks: hooksOf(projection),
    deliver: async (records, delivery, manager) => {
      if (!manager)
        throw new TypeError(`The projection '${name}' was called outside of a transaction.`);
      const context: ProjectionContext = { ...delivery, manager };
      await apply(records, context);
    },
  };
  return { consumer, problems: [...definition.problems, ...problems] };
}

type AnyBatchMethod = (
  records: readonly EventRecord[],
  context: ProjectionContext,
) => Promise<void> | void;

function inBatches(projection: object, { batchMethods }: ProjectionDefinition): AnyBatchMethod {
  const [method] = batchMethods.keys();
  return (records, context) =>
    (projection as Record<string, AnyBatchMethod>)[method!]!(records, context);
}

type AnyEventMethod = (
  event: object,
  record: EventRecord,
  context: ProjectionContext,
) => Promise<void> | void;

function oneByOne(projection: object, { methods }: ProjectionDefinition): AnyBatchMethod {
  // Keyed by prototype: a subclass is another event, and an event's data cannot hide its class.
  const byPrototype = new Map(
    [...methods].map(([eventClass, method]) => [eventClass?.prototype as unknown, method]),
  );
  return async (records, context) => {
    for (const record of records) {
      const method = byPrototype.get(Object.getPrototypeOf(record.event));
      if (method === undefined) continue;
      await (projection as Record<string, AnyEventMethod>)[method]!(record.event, record, context);
    }
  };
}

function hooksOf(projection: GenerationHooks): GenerationHooks {
  return {
    ...(projection.prepare && { prepare: (scope) => projection.prepare!(scope) }),
    ...(projection.activate && { activate: (scope) => projection.activate!(scope) }),
    ...(projection.discard && { discard: (scope) => projection.discard!(scope) }),
  };
}
