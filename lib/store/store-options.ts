import type { EntityManager } from 'typeorm';
import type { EventClass } from '../events/domain-event.decorator.ts';
import { EventRegistry } from '../events/event-registry.ts';
import { EventSerializer } from '../events/event-serializer.ts';
import type { EventCodec } from '../events/payload/event-codec.ts';
import { JsonCodec } from '../events/payload/json.codec.ts';
import type { Upcaster } from '../events/upcaster.ts';
import {
  aFunction,
  applyRules,
  flag,
  type OptionRule,
  wholeNumber,
} from '../input/option-rules.ts';
import type { PrepareOptions } from './appending/prepare-append.ts';

export interface StoreOptions {
  /** Event classes to register. @default [] */
  readonly events?: readonly EventClass[];
  /** Upcasters to register. @default [] */
  readonly upcasters?: readonly Upcaster[];
  /** @default new JsonCodec() */
  readonly codec?: EventCodec;
  /** The largest size of one event in bytes. @default 1048576 */
  readonly maxEventBytes?: number;
  /** How deep payloads, metadata and states may nest. @default 200 */
  readonly maxDepth?: number;
  /** The most events that one call of `append` or `appendAll` may have. @default 10000 */
  readonly maxAppendEvents?: number;
  /** Whether `removeEvents` may remove anything. @default false */
  readonly allowRemoval?: boolean;
  /** Called for a snapshot that was left out and for a listener that threw. @default a no-op */
  readonly onWarning?: (message: string, error?: unknown) => void;
}

const listed: OptionRule = [Array.isArray, 'a list'];

/** The rules of the options that an application can set as well. */
export const sharedStoreRules = {
  codec: [
    (value) =>
      typeof (value as EventCodec | null)?.encode === 'function' &&
      typeof (value as EventCodec).decode === 'function',
    'an EventCodec, such as new JsonCodec() or new BinaryCodec()',
  ],
  // After a full batch, one more event must still fit into what PostgreSQL accepts as one value.
  maxEventBytes: wholeNumber(1, 128 * 1024 * 1024),
  maxDepth: wholeNumber(1, 1_000),
  maxAppendEvents: wholeNumber(1, 1_000_000),
  allowRemoval: flag,
} satisfies Record<string, OptionRule>;

export const storeRules: Readonly<Record<keyof StoreOptions, OptionRule>> = {
  ...sharedStoreRules,
  events: listed,
  upcasters: listed,
  onWarning: aFunction,
};

/** Returns the options. @throws TypeError that lists all problems. */
export function checkStoreOptions<Options extends StoreOptions>(
  subject: string,
  rules: Readonly<Record<keyof Options, OptionRule>>,
  given: Options,
): Options {
  const { options, problems } = applyRules<Options>(rules, {} as Options, given, subject);
  if (problems.length > 0) throw new TypeError(`${subject}: ${problems.join(' ')}`);
  return options;
}

/** What the application provides to its store. */
export interface StoreSurroundings {
  /** The application may still fill it, and then checks it. @default a registry of the store's own */
  readonly registry?: EventRegistry;
  /** The name from which the ids of idempotency keys derive. @default 'event_store' */
  readonly schema?: string;
  /** Returns the manager of the ambient transaction, if one is open. @default there never is one */
  readonly transactionManager?: () => EntityManager | undefined;
}

/** The parts that a store consists of. */
export interface StoreParts extends PrepareOptions {
  readonly registry: EventRegistry;
  readonly serializer: EventSerializer;
  readonly allowRemoval: boolean;
  readonly onWarning: (message: string, error?: unknown) => void;
  /** Returns the manager of the ambient transaction while that is open. */
  readonly ambientManager: () => EntityManager | undefined;
}

/** Makes the parts of a store. @throws TypeError if classes or upcasters cannot be registered. */
export function storeParts(
  given: StoreOptions = {},
  { registry, schema = 'event_store', transactionManager = none }: StoreSurroundings = {},
): StoreParts {
  const {
    events = [],
    upcasters = [],
    codec = new JsonCodec(),
    maxAppendEvents = 10_000,
    allowRemoval = false,
    onWarning = none,
    ...limits
  } = checkStoreOptions('EventStore', storeRules, given);
  const known = registry ?? new EventRegistry();
  for (const eventClass of events) known.register(eventClass);
  for (const each of upcasters) known.registerUpcaster(each);
  if (!registry && known.problems.length > 0) throw new TypeError(known.problems.join('\n'));
  return {
    registry: known,
    serializer: new EventSerializer(known, codec, limits),
    schema,
    maxAppendEvents,
    allowRemoval,
    onWarning(message, error) {
      try {
        onWarning(message, error);
      } catch {
        // A warning is about something that did not fail the call, so it must not fail the call either.
      }
    },
    ambientManager() {
      const manager = transactionManager();
      const queryRunner = manager?.queryRunner;
      return queryRunner?.isTransactionActive && !queryRunner.isReleased ? manager : undefined;
    },
  };
}

const none = (): undefined => undefined;
