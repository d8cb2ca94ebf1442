import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import type { AggregateRef } from '../../store/aggregate-ref.ts';
import type { EventStore } from '../../store/event-store.ts';
import type { ExpectedVersion } from '../../store/appending/expected-version.ts';
import { WrongExpectedVersionError } from '../../store/appending/append.errors.ts';
import { assertNothingWritten, rejection } from './support/assertions.ts';
import { deposits, newAccount } from './support/contract-events.ts';
import type { ContractTest } from './support/contract-test.ts';

interface Situation {
  readonly name: string;
  readonly version: number;
  readonly accepted: readonly ExpectedVersion[];
  readonly refused: readonly ExpectedVersion[];
  readonly arrange: (store: EventStore, account: AggregateRef) => Promise<unknown>;
}

const situations: readonly Situation[] = [
  {
    name: 'a new aggregate',
    version: 0,
    accepted: ['any', 'no_stream', 0],
    refused: ['exists', 1, Number.MAX_SAFE_INTEGER],
    arrange: async () => undefined,
  },
  {
    name: 'an aggregate at version 2',
    version: 2,
    accepted: ['any', 'exists', 2],
    refused: ['no_stream', 0, 1, 3],
    arrange: (store, account) => store.append(account, deposits(2)),
  },
  {
    name: 'an aggregate whose 2 events were removed',
    version: 2,
    accepted: ['any', 'exists', 2],
    refused: ['no_stream', 0, 1, 3],
    arrange: async (store, account) => {
      await store.append(account, deposits(2));
      await store.removeEvents(account);
    },
  },
];

const unknownExpectations = [-1, 1.5, '5', Number.NaN, Infinity, 2 ** 53, 'latest', '', null, {}];

export function expectedVersionContract(test: ContractTest): void {
  for (const { name, version, accepted, refused, arrange } of situations) {
    for (const expectedVersion of accepted) {
      test(
        `${name} takes an append that expects ${expectedVersion}`,
        async ({ store }) => {
          const account = newAccount();
          await arrange(store, account);

          const { records } = await store.fetchByAggregate(account);
          assert.deepEqual(await store.append(account, [], { expectedVersion }), {
            version,
            position: records.at(-1)?.position ?? 0,
            records: [],
            duplicate: false,
          });
          const result = await store.append(account, deposits(2), { expectedVersion });
          assert.equal(result.version, version + 2);
          assert.equal(await store.currentVersion(account), version + 2);
        },
        { allowRemoval: true },
      );
    }

    for (const expectedVersion of refused) {
      test(
        `${name} refuses an append that expects ${expectedVersion}`,
        async ({ store }) => {
          const account = newAccount();
          await arrange(store, account);

          for (const events of [[], deposits(1)]) {
            await assertNothingWritten(store, async () => {
              const append = store.append(account, events, { expectedVersion });
              const error = await rejection(append, WrongExpectedVersionError);
              assert.deepEqual(error.aggregate, account);
              assert.equal(error.expectedVersion, expectedVersion);
              assert.equal(error.actualVersion, version);
            });
          }
          assert.equal(await store.currentVersion(account), version);
        },
        { allowRemoval: true },
      );
    }
  }

  test('an append without an expectation is never checked', async ({ store }) => {
    const account = newAccount();
    await store.append(account, deposits(1));
    assert.equal((await store.append(account, deposits(1))).version, 2);
  });

  test('an empty append to a new aggregate leaves no trace', async ({ store }) => {
    const account = newAccount();
    await store.append(account, []);
    assert.equal(await store.currentVersion(account), 0);
    assert.equal((await store.append(account, deposits(1), { expectedVersion: 0 })).version, 1);
  });

  test('of many appends that expect the same version, one is taken', async ({ store }) => {
    const account = newAccount();
    const outcomes = await Promise.allSettled(
      deposits(10).map((event) => store.append(account, [event], { expectedVersion: 0 })),
    );
    const errors = outcomes.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
    assert.equal(errors.length, 9);
    assert.ok(errors.every((error) => error instanceof WrongExpectedVersionError));
    assert.equal(await store.currentVersion(account), 1);
  });

  for (const unknown of unknownExpectations) {
    test(`refuses ${inspect(unknown)} as an expectation`, async ({ store }) => {
      await assertNothingWritten(store, async () => {
        const expectedVersion = unknown as ExpectedVersion;
        const append = store.append(newAccount(), deposits(1), { expectedVersion });
        assert.match((await rejection(append, TypeError)).message, /'no_stream'.* got /);
      });
    });
  }
}
