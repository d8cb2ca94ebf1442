import { KnownOptions } from '../input/known-options.ts';
import { appendContract } from './contract/append.contract.ts';
import { appendAllContract } from './contract/append-all.contract.ts';
import { aggregateReadContract } from './contract/aggregate-read.contract.ts';
import { contractEvents } from './contract/support/contract-events.ts';
import type {
  ContractStoreOptions,
  ContractSubject,
  ContractTest,
} from './contract/support/contract-test.ts';
import { duplicateContract } from './contract/duplicate.contract.ts';
import { expectedVersionContract } from './contract/expected-version.contract.ts';
import { historyContract } from './contract/history.contract.ts';
import { idempotencyKeyContract } from './contract/idempotency-key.contract.ts';
import { listenerContract } from './contract/listener.contract.ts';
import { logReadContract } from './contract/log-read.contract.ts';
import { metadataContract } from './contract/metadata.contract.ts';
import { optionsContract } from './contract/options.contract.ts';
import { referenceContract } from './contract/reference.contract.ts';
import { removalContract } from './contract/removal.contract.ts';
import { snapshotContract } from './contract/snapshot.contract.ts';

export interface EventStoreContractOptions {
  /** `describe` of the test runner. */
  readonly describe: (name: string, define: () => void) => unknown;
  /** `it` or `test` of the test runner. */
  readonly it: (name: string, check: () => Promise<void>) => unknown;
  /** Makes a store for one test. Called once for every test. */
  readonly create: (options: ContractStoreOptions) => ContractSubject | Promise<ContractSubject>;
}

const contractOptions = new KnownOptions<EventStoreContractOptions>('eventStoreContract', {
  describe: true,
  it: true,
  create: true,
});

/**
 * Declares the tests that every `EventStorage` must pass, through the `EventStore` that uses it.
 *
 * Runs under any test runner that has `describe` and `it`: jest, vitest, node:test. Tests that need a
 * database are not part of it: transactions, readers beside late commits, damaged rows.
 *
 * @example
 * import { describe, it } from '@jest/globals';
 *
 * describe('MyEventStorage', () => {
 *   eventStoreContract({
 *     describe,
 *     it,
 *     create: (options) => {
 *       const storage = new MyEventStorage();
 *       return {
 *         store: new EventStore(storage, options),
 *         spoilSnapshot: (aggregate) => storage.overwriteSnapshot(aggregate, '{'),
 *       };
 *     },
 *   });
 * });
 */
export function eventStoreContract(options: EventStoreContractOptions): void {
  const { describe, it, create } = contractOptions.take(options);
  const test: ContractTest = (fact, check, storeOptions) => {
    it(fact, async () => {
      const subject = await create({
        events: contractEvents,
        maxAppendEvents: 10_000,
        allowRemoval: false,
        ...storeOptions,
      });
      try {
        await check(subject);
      } finally {
        await subject.dispose?.();
      }
    });
  };

  describe('append', () => appendContract(test));
  describe('expected version', () => expectedVersionContract(test));
  describe('repeated append', () => duplicateContract(test));
  describe('idempotency key', () => idempotencyKeyContract(test));
  describe('appendAll', () => appendAllContract(test));
  describe('fetch and stream', () => logReadContract(test));
  describe('fetchByAggregate and streamByAggregate', () => aggregateReadContract(test));
  describe('snapshot', () => snapshotContract(test));
  describe('fetchHistory', () => historyContract(test));
  describe('removeEvents', () => removalContract(test));
  describe('metadata', () => metadataContract(test));
  describe('onAppended', () => listenerContract(test));
  describe('options', () => optionsContract(test));
  describe('aggregate reference', () => referenceContract(test));
}
