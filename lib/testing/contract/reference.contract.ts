import assert from 'node:assert/strict';
import type { AggregateRef } from '../../store/aggregate-ref.ts';
import { InvalidAggregateRefError } from '../../store/store.errors.ts';
import { assertNothingWritten, collect, rejection } from './support/assertions.ts';
import { deposits, newAccount } from './support/contract-events.ts';
import type { ContractTest } from './support/contract-test.ts';

const unusable: readonly (readonly [string, unknown])[] = [
  ['nothing', ''],
  ['blanks', ' \u00a0'],
  ['a newline', 'first\nsecond'],
  ['NUL', 'first\0'],
  ['DEL', '\u007f'],
  ['a lone surrogate', 'first\ud800'],
  ['an escape sequence', '\u001b[2Jfirst'],
  ['a change of direction', 'first\u202etsrif'],
  ['a line separator', 'first\u2028second'],
  ['a paragraph separator', 'first\u2029second'],
  ['a zero width space', 'fir\u200bst'],
  ['a joiner between letters of ASCII', 'fir\u200dst'],
  ['a joiner at the end', 'ü\u200d'],
  ['a byte order mark', '\ufefffirst'],
  ['a tag', 'first\u{e0041}'],
  ['a blank at the beginning', ' first'],
  ['a blank at the end', 'first\u3000'],
  ['513 bytes', 'x'.repeat(513)],
  ['514 bytes of few characters', 'ü'.repeat(257)],
  ['a number', 5],
  ['null', null],
  ['undefined', undefined],
  ['an object', { toString: () => 'first' }],
];

const usable: readonly string[] = [
  'x'.repeat(512),
  'ü'.repeat(256),
  "'; DROP TABLE domain_events; --",
  '"quoted" \\ %s $1 {} [] null',
  'constructor',
  '__proto__',
  '💶',
  '👩🏽‍💻 🏳️‍🌈',
  'می‌خواهم',
  'two words',
];

export function referenceContract(test: ContractTest): void {
  for (const [name, value] of unusable) {
    for (const field of ['id', 'type'] as const) {
      test(`refuses ${name} as ${field}`, async ({ store }) => {
        const aggregate = { type: 'account', id: 'first', [field]: value } as AggregateRef;
        await assertNothingWritten(store, async () => {
          const operations = [
            () => store.append(aggregate, deposits(1)),
            () => store.append(aggregate, []),
            () => store.fetchByAggregate(aggregate),
            () => collect(store.streamByAggregate(aggregate)),
            () => store.fetchHistory(aggregate),
            () => store.currentVersion(aggregate),
            () => store.getSnapshot(aggregate),
            () => store.snapshot(aggregate, {}, 1),
            () => store.removeEvents(aggregate),
          ];
          for (const operation of operations) {
            assert.equal((await rejection(operation(), InvalidAggregateRefError)).field, field);
          }
        });
      });
    }
  }

  test('has a type of at most 255 bytes', async ({ store }) => {
    const id = 'first';
    await store.append({ type: 'x'.repeat(255), id }, deposits(1));
    const append = store.append({ type: 'x'.repeat(256), id }, deposits(1));
    assert.equal((await rejection(append, InvalidAggregateRefError)).field, 'type');
  });

  for (const id of usable) {
    test(`keeps ${id.slice(0, 30)} (${Buffer.byteLength(id)} bytes) as it is`, async ({
      store,
    }) => {
      const aggregate = { type: 'account', id };
      await store.append(aggregate, deposits(2));
      assert.equal(await store.currentVersion(aggregate), 2);
      assert.deepEqual((await store.fetch()).records[0]?.aggregate, aggregate);
      assert.equal((await store.fetchByAggregate(aggregate)).records.length, 2);
    });
  }

  test('distinguishes ids and types byte by byte', async ({ store }) => {
    const ids = ['a', 'A', 'ä'.normalize('NFC'), 'ä'.normalize('NFD'), 'a b', 'a  b', 'aa'];
    const references = [
      ...ids.map((id) => ({ type: 'account', id })),
      ...ids.map((type) => ({ type, id: 'account' })),
    ];
    for (const [index, reference] of references.entries()) {
      await store.append(reference, deposits(index + 1), { expectedVersion: 'no_stream' });
    }
    for (const [index, reference] of references.entries()) {
      assert.equal(await store.currentVersion(reference), index + 1);
    }
  });

  test('is taken by value', async ({ store }) => {
    const account = newAccount();
    const mutable = { ...account };
    const append = store.append(mutable, deposits(1));
    mutable.id = 'changed';
    assert.deepEqual((await append).records[0]?.aggregate, account);
    assert.equal(await store.currentVersion(account), 1);
  });
}
