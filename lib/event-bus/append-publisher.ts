import { AsyncContext, type EventBus } from '@nestjs/cqrs';
import { runAsReactionTo } from '../events/metadata/event-metadata.ts';
import type { EventRecord } from '../events/event-record.ts';
import { dispatcherOf } from '../store/appending/dispatcher.ts';
import type { OperatorLog } from '../store/operator-log.ts';
import { asyncContextOf } from './async-context-of.ts';

/**
 * Publishes recorded events as `commit()` of their aggregate would: with the aggregate and its
 * `AsyncContext`, and all events of one append in one call if the publisher supports that.
 *
 * Never throws: the events are already stored, even if the publisher fails.
 */
export class AppendPublisher {
  constructor(
    private readonly bus: EventBus,
    private readonly log: OperatorLog,
  ) {}

  publish(records: readonly EventRecord[]): void {
    for (const append of appendsOf(records)) {
      const dispatcher = dispatcherOf(append[0]!.aggregate);
      const context = dispatcher && asyncContextOf(dispatcher, this.bus);
      const takesAll = typeof this.bus.publisher?.publishAll === 'function';
      for (const part of takesAll ? [append] : append.map((record) => [record])) {
        this.#attempt(part, () => this.#publish(part, takesAll, dispatcher, context));
      }
    }
  }

  #publish(
    records: readonly EventRecord[],
    takesAll: boolean,
    dispatcher: object | undefined,
    context: AsyncContext | undefined,
  ): unknown {
    const events = records.map(({ event }) => event);
    // The bus attaches the context to every event, and throws if an event cannot take it.
    const isCarried = context && events.every((event) => canCarry(event, context));
    // At run time the bus accepts `undefined` for an omitted argument, but its types do not.
    const surroundings = [dispatcher, isCarried ? context : undefined] as [unknown, AsyncContext];
    return runAsReactionTo(records, () =>
      takesAll
        ? this.bus.publishAll(events, ...surroundings)
        : this.bus.publish(events[0]!, ...surroundings),
    );
  }

  #attempt(records: readonly EventRecord[], publish: () => unknown): void {
    const failed = (error: unknown): void => {
      const { position, type } = records[0]!;
      const others = records.length > 1 ? `and ${records.length - 1} more of its append ` : '';
      this.log.error(
        `Publishing the event at position ${position} (${type}) ${others}failed; it is stored.`,
        error,
      );
    };
    try {
      for (const answer of [publish()].flat()) {
        if (isPromiseLike(answer)) answer.then(undefined, failed);
      }
    } catch (error) {
      failed(error);
    }
  }
}

/** The events of one append share the reference to their aggregate. */
function appendsOf(records: readonly EventRecord[]): EventRecord[][] {
  const appends: EventRecord[][] = [];
  for (const record of records) {
    const last = appends.at(-1);
    if (last?.[0]!.aggregate === record.aggregate) last.push(record);
    else appends.push([record]);
  }
  return appends;
}

const canCarry = (event: object, context: AsyncContext): boolean =>
  AsyncContext.isAttached(event) ? AsyncContext.of(event) === context : Object.isExtensible(event);

const isPromiseLike = (value: unknown): value is PromiseLike<unknown> =>
  typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function';
