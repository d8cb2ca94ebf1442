import type { EntityManager } from 'typeorm';
import type { EventClass } from '../events/domain-event.decorator.ts';
import type { EventRecord } from '../events/event-record.ts';
import { ownOptions } from '../input/known-options.ts';
import { consumerOptionNames, type ConsumerOptions } from '../subscriptions/consumer-options.ts';
import type { Delivery } from '../subscriptions/delivery/delivery.ts';

/** When a read model is updated: by a runner after the commit, or inside the append itself. */
export type ProjectionMode = 'eventual' | 'inline';

export interface ProjectionOptions extends ConsumerOptions {
  /**
   * `'eventual'` applies events in batches after their commit. `'inline'` applies them in the
   * transaction of the append, so that both commit or neither does. @default 'eventual'
   */
  readonly mode?: ProjectionMode;
}

/** What a projection's methods receive in addition to the events. */
export interface ProjectionContext extends Delivery {
  /** The manager of the transaction that commits the read model together with the checkpoint. */
  readonly manager: EntityManager;
}

/** A method that takes events one at a time. */
export type EventMethod = (
  event: never,
  record: EventRecord<never>,
  context: ProjectionContext,
) => Promise<void> | void;

/** A method that takes a whole batch in the order of the log, to fold it in memory and write once. */
export type BatchMethod = (
  records: readonly EventRecord<never>[],
  context: ProjectionContext,
) => Promise<void> | void;

/** What `@Projection`, `@On` and `@OnBatch` say about a class. */
export interface ProjectionDefinition {
  readonly name: string;
  readonly options: ProjectionOptions;
  /** The name of the method for each event class. */
  readonly methods: ReadonlyMap<EventClass, string>;
  /** The names of the methods that take batches; at most one is allowed. */
  readonly batchMethods: ReadonlyMap<string, readonly EventClass[]>;
  /** Problems of the decorators, each one sentence with its remedy. */
  readonly problems: readonly string[];
}

// In the global symbol registry, so that two copies of this package in one process share the key.
const definitionKey = Symbol.for('nest-event-store:projection');
const methodsKey = Symbol.for('nest-event-store:projection-methods');

interface MethodMark {
  readonly method: string;
  readonly events: readonly EventClass[];
  readonly batch: boolean;
}

/**
 * Makes a provider a projection. It follows the log under this name, which is stored with its
 * checkpoint and must not change.
 *
 * Its methods with `@On`, or its one method with `@OnBatch`, are called with events in the order of the
 * log. Everything that they write through `manager` commits together with the checkpoint, so every
 * event counts exactly once. The optional methods `prepare`, `activate` and `discard` make and remove
 * the read models of its generations; see `GenerationHooks`.
 *
 * @example
 * @Projection('account-list')
 * export class AccountList {
 *   @On(AccountOpened)
 *   async opened(event: AccountOpened, record: EventRecord, { manager }: ProjectionContext) {
 *     await manager.query('INSERT INTO account_list VALUES ($1, $2)', [record.aggregate.id, event.owner]);
 *   }
 * }
 */
export function Projection(name: string, given: ProjectionOptions = {}) {
  const options = ownOptions(`@Projection('${name}')`, given, [...consumerOptionNames, 'mode']);
  return (projectionClass: new (...args: never[]) => object): void => {
    const marks = marksOf(projectionClass);
    const subject = `@Projection('${name}')`;
    const problems: string[] = [];
    const methods = new Map<EventClass, string>();
    const batchMethods = new Map<string, readonly EventClass[]>();
    for (const { method, events, batch } of marks) {
      if (events.length === 0 || events.some((each) => typeof each !== 'function')) {
        problems.push(
          `${subject}: ${method}() names ${events.length === 0 ? 'no event class' : 'something that is no event class'}. ` +
            `Write @${batch ? 'OnBatch' : 'On'}(SomeEvent), and look for files that import each other in a circle.`,
        );
      }
      if (batch) batchMethods.set(method, events);
      else {
        for (const event of events) {
          const other = methods.get(event);
          if (other !== undefined && other !== method) {
            problems.push(
              `${subject}: ${other}() and ${method}() both take ${event.name}. Keep one.`,
            );
          }
          methods.set(event, method);
        }
      }
    }
    if (batchMethods.size > 1 || (batchMethods.size === 1 && methods.size > 0)) {
      problems.push(`${subject}: a method with @OnBatch takes all events; no other may take any.`);
    }
    if (batchMethods.size + methods.size === 0) {
      problems.push(
        `${subject} takes no event. Give one of its methods @On(SomeEvent) or @OnBatch(…).`,
      );
    }
    if (options.mode !== undefined && !['eventual', 'inline'].includes(options.mode)) {
      problems.push(`${subject}: the option 'mode' must be 'eventual' or 'inline'.`);
    }
    if (options.mode === 'inline' && (options.partitions ?? 1) !== 1) {
      problems.push(
        `${subject} is inline and cannot have partitions: every append applies it. Leave them out.`,
      );
    }
    if (options.mode === 'inline' && options.onFailure === 'park') {
      problems.push(
        `${subject} is inline and cannot park events: what it throws refuses the append. Leave ` +
          "onFailure out, or set it to 'skip' for what fails while it is built from the log.",
      );
    }
    const definition: ProjectionDefinition = { name, options, methods, batchMethods, problems };
    Object.defineProperty(projectionClass, definitionKey, { value: definition });
  };
}

/** Calls the method with each event of these classes: `(event, record, context)`. */
export const On =
  (...events: readonly EventClass[]) =>
  <M extends EventMethod>(
    prototype: object,
    method: string,
    _descriptor: TypedPropertyDescriptor<M>,
  ): void =>
    mark(prototype, { method, events, batch: false });

/** Calls the method with all events of these classes, a batch at a time: `(records, context)`. */
export const OnBatch =
  (...events: readonly EventClass[]) =>
  <M extends BatchMethod>(
    prototype: object,
    method: string,
    _descriptor: TypedPropertyDescriptor<M>,
  ): void =>
    mark(prototype, { method, events, batch: true });

/** Returns what the decorators on this class itself say; a parent's `@Projection` does not count. */
export function projectionOf(
  projectionClass: abstract new (...args: never[]) => unknown,
): ProjectionDefinition | undefined {
  return Object.getOwnPropertyDescriptor(projectionClass, definitionKey)?.value;
}

function mark(prototype: object, { method, events, batch }: MethodMark): void {
  const { constructor } = prototype;
  const own = marksOn(constructor);
  // Two decorators on one method are the same as one decorator with all of their events.
  const same = own.find((each) => each.method === method && each.batch === batch);
  const added = { method, events: [...(same?.events ?? []), ...events], batch };
  const value = [...own.filter((each) => each !== same), added];
  Object.defineProperty(constructor, methodsKey, { value, configurable: true });
}

const marksOn = (projectionClass: object): readonly MethodMark[] =>
  Object.getOwnPropertyDescriptor(projectionClass, methodsKey)?.value ?? [];

/** Returns the marks of a class and its parents; an overriding method replaces those of its parent. */
function marksOf(projectionClass: object): MethodMark[] {
  const marks: MethodMark[] = [];
  for (
    let each: object | null = projectionClass;
    typeof each === 'function';
    each = Object.getPrototypeOf(each) as object | null
  ) {
    const known = new Set(marks.map(({ method }) => method));
    marks.push(...marksOn(each).filter(({ method }) => !known.has(method)));
  }
  return marks;
}
