import assert from 'node:assert/strict';
import type { EventStore } from '../../store/event-store.ts';
import { WrongExpectedVersionError } from '../../store/appending/append.errors.ts';
import { assertNothingWritten, collect, rejection } from './support/assertions.ts';
import { deposits, newAccount } from './support/contract-events.ts';
import type { ContractTest } from './support/contract-test.ts';

const account = newAccount();

/** Every call that takes options, with the name of one of them. */
const calls: readonly (readonly [
  name: string,
  option: string,
  call: (store: EventStore, options: never) => Promise<unknown>,
])[] = [
  ['append', 'expectedVersion', (store, options) => store.append(account, deposits(1), options)],
  ['appendAll', 'manager', (store, options) => store.appendAll([], options)],
  ['an append of appendAll', 'events', (store, append) => store.appendAll([append])],
  ['fetch', 'limit', (store, options) => store.fetch(0, options)],
  ['stream', 'limit', (store, options) => collect(store.stream(0, options))],
  ['fetchByAggregate', 'limit', (store, options) => store.fetchByAggregate(account, 0, options)],
  [
    'streamByAggregate',
    'limit',
    (store, options) => collect(store.streamByAggregate(account, 0, options)),
  ],
  ['fetchHistory', 'after', (store, options) => store.fetchHistory(account, options)],
  ['getSnapshot', 'revision', (store, options) => store.getSnapshot(account, options)],
  ['snapshot', 'revision', (store, options) => store.snapshot(account, {}, 1, options)],
];

class ByGetter {
  get expectedVersion(): number {
    return 7;
  }
}

const hidden = { value: 7, enumerable: false };
const sources: readonly (readonly [string, object])[] = [
  ['a prototype', Object.create({ expectedVersion: 7 }) as object],
  ['a prototype of a prototype', Object.create(Object.create({ expectedVersion: 7 })) as object],
  ['a getter of a class', new ByGetter()],
  ['a getter of a parent class', new (class extends ByGetter {})()],
  ['a member that is not enumerable', Object.defineProperty({}, 'expectedVersion', hidden)],
  [
    'a Proxy',
    new Proxy(
      {},
      { get: (target, key) => (key === 'expectedVersion' ? 7 : Reflect.get(target, key)) },
    ),
  ],
];

export function optionsContract(test: ContractTest): void {
  for (const [source, options] of sources) {
    test(`count if they come from ${source}`, async ({ store }) => {
      await assertNothingWritten(store, async () => {
        await rejection(store.append(account, deposits(1), options), WrongExpectedVersionError);
        const members = { aggregate: account, events: deposits(1) };
        const append = Object.assign(Object.create(options) as object, members);
        await rejection(store.appendAll([append]), WrongExpectedVersionError);
      });
    });
  }

  test('are read once, so that what was checked is what is used', async ({ store }) => {
    const answers = ['no_stream', 'exists', 99] as const;
    let reads = 0;
    const options = {
      get expectedVersion() {
        return answers[reads++]!;
      },
    };
    assert.equal((await store.append(newAccount(), deposits(1), options)).version, 1);
    assert.equal(reads, 1);

    const limits = [1, 2, 3];
    const records = await collect(
      store.stream(0, {
        get limit() {
          return limits.shift()!;
        },
      }),
    );
    assert.equal(records.length, 1);
    assert.deepEqual(limits, [2, 3]);
  });

  for (const [name, option, call] of calls) {
    test(`of ${name} are refused if one is misspelt, wherever it comes from`, async ({ store }) => {
      const misspelt = `${option.slice(0, -1)}x`;
      const getter = Object.defineProperty(class {}.prototype, misspelt, { get: () => 1 });
      await assertNothingWritten(store, async () => {
        for (const options of [
          { [misspelt]: 1 },
          Object.create({ [misspelt]: 1 }) as object,
          Object.create(getter) as object,
          { [misspelt]: undefined },
        ]) {
          const { message } = await rejection(call(store, options as never), TypeError);
          assert.match(message, new RegExp(`has no '${misspelt}'; did you mean '${option}'`));
        }
      });
    });

    test(`of ${name} are refused if they are no object`, async ({ store }) => {
      await assertNothingWritten(store, async () => {
        for (const options of [null, 5, 'text', true, [], () => undefined]) {
          const { message } = await rejection(call(store, options as never), TypeError);
          assert.match(message, /takes its options as an object, got /);
        }
      });
    });

    test(`of ${name} are refused if they cannot be read`, async ({ store }) => {
      const throws = (): never => {
        throw new Error('on purpose');
      };
      const revoked = Proxy.revocable({}, {});
      revoked.revoke();
      await assertNothingWritten(store, async () => {
        for (const options of [
          Object.defineProperty({}, option, { get: throws }),
          new Proxy({}, { get: throws }),
          new Proxy({}, { ownKeys: throws }),
          revoked.proxy,
        ]) {
          const { message } = await rejection(call(store, options as never), TypeError);
          assert.match(message, /cannot be read: a getter or a Proxy threw/);
        }
      });
    });
  }

  test('ignore members that were added to Object.prototype', async ({ store }) => {
    const ofAll = Object.prototype as { addedByOthers?: unknown };
    ofAll.addedByOthers = 1;
    try {
      assert.equal((await store.append(newAccount(), deposits(1), {})).version, 1);
      assert.equal((await store.fetch(0, { limit: 5 })).records.length, 1);
    } finally {
      delete ofAll.addedByOthers;
    }
  });
}
