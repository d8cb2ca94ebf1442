import type { EntityManager } from 'typeorm';
import type { EventClass } from '../events/domain-event.decorator.ts';
import type { EventRecord } from '../events/event-record.ts';
import type { ConsumerSettings } from './consumer-options.ts';
import type { Delivery } from './delivery/delivery.ts';

export type ConsumerKind = 'projection' | 'inline-projection' | 'handler' | 'saga';

/** What a projection's hooks are given: the generation of its read model, and the transaction. */
export interface GenerationScope {
  readonly generation: number;
  readonly manager: EntityManager;
}

/** What becomes of a read model when its generations come and go. */
export interface GenerationHooks {
  /** Makes an empty read model for this generation. */
  prepare?(scope: GenerationScope): Promise<void> | void;
  /** Makes this generation the one that queries read. */
  activate?(scope: GenerationScope): Promise<void> | void;
  /** Removes the read model of a generation that is no longer wanted. */
  discard?(scope: GenerationScope): Promise<void> | void;
}

/** What follows the log under a name, as found in the application. */
export interface Consumer {
  readonly name: string;
  readonly kind: ConsumerKind;
  /** The events it takes; of other types it sees none. */
  readonly events: readonly EventClass[];
  readonly settings: ConsumerSettings;
  readonly hooks: GenerationHooks;
  /**
   * Handles records, which are in the order of the log.
   *
   * A projection gets a batch and the manager of the transaction that its checkpoint commits with;
   * handlers and sagas get one record at a time and no manager.
   */
  deliver(
    records: readonly EventRecord[],
    delivery: Delivery,
    manager: EntityManager | undefined,
  ): Promise<void>;
}

/** Whether records come in batches, in the transaction of the checkpoint. */
export const isTransactional = ({ kind }: Pick<Consumer, 'kind'>): boolean =>
  kind === 'projection' || kind === 'inline-projection';
