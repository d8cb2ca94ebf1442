import type { AggregateRef } from '../../store/aggregate-ref.ts';
import type { Consumer } from '../consumer.ts';

/** Returns whether an event of an aggregate is for a consumer. */
export type EventFilter = (record: {
  readonly event: object;
  readonly aggregate: Pick<AggregateRef, 'type'>;
}) => boolean;

/** Returns the filter of a consumer, which decides by the class that an event is read as. */
export function eventFilterOf({
  events,
  settings,
}: Pick<Consumer, 'events' | 'settings'>): EventFilter {
  const prototypes = new Set<unknown>(events.map((each) => each.prototype as unknown));
  const aggregateTypes = settings.aggregateTypes && new Set(settings.aggregateTypes);
  return ({ event, aggregate }) =>
    prototypes.has(Object.getPrototypeOf(event)) && (aggregateTypes?.has(aggregate.type) ?? true);
}
