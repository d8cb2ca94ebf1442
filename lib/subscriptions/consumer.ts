import type { EntityManager } from 'typeorm';
import type { EventClass } from '../events/domain-event.decorator.ts';
import type { EventRecord } from '../events/event-record.ts';
import type { ConsumerSettings } from './consumer-options.ts';
import type { Delivery } from './delivery/delivery.ts';

export type ConsumerKind = 'projection' | 'inline-projection' | 'handler' | 'saga';

/** The arguments of a projection's hooks: the generation of its read model, and the transaction. */
export interface GenerationScope {
  readonly generation: number;
  readonly manager: EntityManager;
}

/** Hooks of a projection that create, switch and remove the read models of its generations. */
export interface GenerationHooks {
  /** Creates an empty read model for this generation. */
  prepare?(scope: GenerationScope): Promise<void> | void;
  /** Makes queries read the read model of this generation. */
  activate?(scope: GenerationScope): Promise<void> | void;
  /** Removes the read model of a generation that is no longer needed. */
  discard?(scope: GenerationScope): Promise<void> | void;
}

/** A projection, handler or saga of the application, which follows the log under a name. */
export interface Consumer {
  readonly name: string;
  readonly kind: ConsumerKind;
  /** The event classes that it takes; it sees no other events. */
  readonly events: readonly EventClass[];
  readonly settings: ConsumerSettings;
  readonly hooks: GenerationHooks;
  /**
   * Handles records, which are in the order of the log.
   *
   * A projection receives a batch and the manager of the transaction that commits its checkpoint.
   * Handlers and sagas receive one record at a time and no manager.
   */
  deliver(
    records: readonly EventRecord[],
    delivery: Delivery,
    manager: EntityManager | undefined,
  ): Promise<void>;
}

/** Returns whether records come in batches, inside the transaction of the checkpoint. */
export const isTransactional = ({ kind }: Pick<Consumer, 'kind'>): boolean =>
  kind === 'projection' || kind === 'inline-projection';
