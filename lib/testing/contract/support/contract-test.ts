import type { EventClass } from '../../../events/domain-event.decorator.ts';
import type { AggregateRef } from '../../../store/aggregate-ref.ts';
import type { EventStore } from '../../../store/event-store.ts';

/** How the store under test has to be configured. */
export interface ContractStoreOptions {
  /** The event classes to register. */
  readonly events: readonly EventClass[];
  readonly maxAppendEvents: number;
  readonly allowRemoval: boolean;
}

/** A store under test, whose log is empty and whose limits are the ones asked for. */
export interface ContractSubject {
  readonly store: EventStore;
  /** Makes the stored snapshot of an aggregate unreadable, as a damaged row would be. */
  readonly spoilSnapshot: (aggregate: AggregateRef) => void | Promise<void>;
  /** Called when the test has ended, however it ended. */
  readonly dispose?: () => void | Promise<void>;
}

/** Declares one test of the contract, with a store of its own. */
export type ContractTest = (
  fact: string,
  check: (subject: ContractSubject) => Promise<void>,
  options?: Partial<ContractStoreOptions>,
) => void;
