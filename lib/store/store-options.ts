import type { EntityManager } from 'typeorm';
import type { EventClass } from '../events/domain-event.decorator.ts';
import { EventRegistry } from '../events/event-registry.ts';
import { EventSerializer } from '../events/event-serializer.ts';
import type { EventCodec } from '../events/payload/event-codec.ts';
import { JsonCodec } from '../events/payload/json.codec.ts';
import type { Upcaster } from '../events/upcaster.ts';
import { KnownOptions } from '../input/known-options.ts';
import type { PrepareOptions } from './appending/prepare-append.ts';

export interface StoreOptions {
  /** Event classes to register. @default [] */
  readonly events?: readonly EventClass[];
  /** Upcasters to register. @default [] */
  readonly upcasters?: readonly Upcaster[];
  /** @default new JsonCodec() */
  readonly codec?: EventCodec;
  /** The most bytes that one event may take. @default 1048576 */
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

export const storeOptionNames = {
  events: true,
  upcasters: true,
  codec: true,
  maxEventBytes: true,
  maxDepth: true,
  maxAppendEvents: true,
  allowRemoval: true,
  onWarning: true,
} as const;

const storeOptions = new KnownOptions<StoreOptions>('EventStore', storeOptionNames);

/** What a store is given by the application that it is part of. */
export interface StoreSurroundings {
  /** May still be filled by the application, which then checks it. @default a registry of the store's own */
  readonly registry?: EventRegistry;
  /** From which the ids of idempotency keys derive. @default 'event_store' */
  readonly schema?: string;
  /** Returns the manager of the ambient transaction, if one is open. @default there never is one */
  readonly transactionManager?: () => EntityManager | undefined;
}

/** What a store is made of. */
export interface StoreParts extends PrepareOptions {
  readonly registry: EventRegistry;
  readonly serializer: EventSerializer;
  readonly allowRemoval: boolean;
  readonly onWarning: (message: string, error?: unknown) => void;
  /** The manager of the ambient transaction, as long as that is open. */
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
  } = storeOptions.take(given);
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
    onWarning,
    ambientManager() {
      const manager = transactionManager();
      const queryRunner = manager?.queryRunner;
      return queryRunner?.isTransactionActive && !queryRunner.isReleased ? manager : undefined;
    },
  };
}

const none = (): undefined => undefined;
