import assert from 'node:assert/strict';
import { EventData } from '../../events/event-data.ts';
import { runWithMetadata, type EventMetadata } from '../../events/metadata/event-metadata.ts';
import { InvalidEventError } from '../../events/events.errors.ts';
import type { EventStore } from '../../store/event-store.ts';
import { assertNothingWritten, rejection } from './support/assertions.ts';
import { deposits, MoneyDeposited, newAccount } from './support/contract-events.ts';
import type { ContractTest } from './support/contract-test.ts';

const metadataOf = async (store: EventStore): Promise<readonly EventMetadata[]> =>
  (await store.fetch()).records.map((record) => record.metadata);

export function metadataContract(test: ContractTest): void {
  test('comes back as it was given', async ({ store }) => {
    const metadata = { actor: 'Ada', correlationId: 'c-1', request: { tries: [1, 2], by: null } };
    const { records } = await store.append(newAccount(), deposits(2), { metadata });

    assert.deepEqual(await metadataOf(store), [metadata, metadata]);
    assert.deepEqual(records[1]?.metadata, metadata);
  });

  test('of an event overrides that of the append, which overrides the surrounding', async ({
    store,
  }) => {
    const own = { tenant: 'own', actor: 'own' };
    await runWithMetadata({ actor: 'around', tenant: 'around', traceparent: 'around' }, () =>
      store.append(
        newAccount(),
        [new EventData(new MoneyDeposited(1), { metadata: own }), new MoneyDeposited(2)],
        { metadata: { actor: 'append', causationId: 'append' } },
      ),
    );

    assert.deepEqual(await metadataOf(store), [
      { traceparent: 'around', causationId: 'append', ...own },
      { traceparent: 'around', causationId: 'append', tenant: 'around', actor: 'append' },
    ]);
  });

  test('surrounds every append of its asynchronous flow, and no other', async ({ store }) => {
    const append = async (): Promise<void> => {
      await Promise.resolve();
      await store.append(newAccount(), deposits(1));
    };
    await runWithMetadata({ actor: 'Ada' }, append);
    await runWithMetadata({ actor: 'Ada', tenant: 'one' }, () =>
      runWithMetadata({ tenant: 'two' }, append),
    );
    await append();
    assert.deepEqual(await metadataOf(store), [
      { actor: 'Ada' },
      { actor: 'Ada', tenant: 'two' },
      {},
    ]);
  });

  test('is refused, with the append, if it cannot be stored exactly', async ({ store }) => {
    await assertNothingWritten(store, async () => {
      const metadata = { actor: 'Ada\0' };
      const append = store.append(newAccount(), deposits(1), { metadata });
      assert.match((await rejection(append, InvalidEventError)).path, /actor/);
    });
  });
}
