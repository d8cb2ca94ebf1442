import type { EventClass } from '../../../events/domain-event.decorator.ts';
import type { AggregateRef } from '../../../store/aggregate-ref.ts';
import type { EventStore } from '../../../store/event-store.ts';

/** The configuration that the store under test must have. */
export interface ContractStoreOptions {
  /** The event classes to register. */
  readonly events: readonly EventClass[];
  readonly maxAppendEvents: number;
  readonly allowRemoval: boolean;
}

/** A store under test, with an empty log and the requested limits. */
export interface ContractSubject {
  readonly store: EventStore;
  /** Makes the stored snapshot of an aggregate unreadable, as a damaged row would be. */
  readonly spoilSnapshot: (aggregate: AggregateRef) => void | Promise<void>;
  /** Called when the test has ended, with or without success. */
  readonly dispose?: () => void | Promise<void>;
}

/** Declares one test of the contract, with a store of its own. */
export type ContractTest = (
  fact: string,
  check: (subject: ContractSubject) => Promise<void>,
  options?: Partial<ContractStoreOptions>,
) => void;
