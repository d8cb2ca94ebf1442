import { describe, expect, it } from '@jest/globals';
import { findingsOf } from '../support/ledger/ledger.findings.ts';
import {
  type CheckpointRow,
  type Effect,
  type LedgerHistory,
  type LoggedEvent,
  type Tally,
} from '../support/ledger/ledger.history.ts';

const log: LoggedEvent[] = [1, 2, 4, 5].map((position) => ({
  id: `e${position}`,
  position,
  aggregateType: 'account',
  aggregateId: position < 3 ? 'a' : 'b',
  version: position < 3 ? position : position - 3,
  type: 'ledger.deposited',
  amount: 10,
}));

/** A history in which one consumer has these effects and this checkpoint. */
function history(
  consumer: string,
  done: readonly string[],
  position: number,
  given: Partial<LedgerHistory> & { replayed?: readonly string[] } = {},
): LedgerHistory {
  const { replayed = [], ...rest } = given;
  const effects: Effect[] = [
    ...replayed.map((eventId) => ({ eventId, replayed: true })),
    ...done.map((eventId) => ({ eventId, replayed: false })),
  ].map((each) => ({ consumer, generation: 1, process: 1, ...each }));
  const checkpoint: CheckpointRow = {
    consumer,
    generation: 1,
    partition: 0,
    position,
    finished: [],
    inUse: true,
  };
  const counts = new Map<string, number>();
  for (const { aggregateId } of log.filter(({ id }) => done.includes(id))) {
    counts.set(aggregateId, (counts.get(aggregateId) ?? 0) + 1);
  }
  const tallies: Tally[] = [...counts].map(([id, events]) => ({
    consumer,
    generation: 1,
    aggregate: `account/${id}`,
    events,
    amount: events * 10,
  }));
  return { log, checkpoints: [checkpoint], effects, tallies, hooks: [], ...rest };
}

const detailsOf = (given: LedgerHistory): string[] => findingsOf(given).map(({ detail }) => detail);

describe('the check of what consumers have done', () => {
  it.each<[string, LedgerHistory]>([
    ['a projection up to its checkpoint', history('balances', ['e1', 'e2', 'e4'], 4)],
    ['aggregates in any order among each other', history('balances', ['e4', 'e1', 'e5', 'e2'], 5)],
    [
      'a handler that is ahead of its checkpoint and repeats events',
      history('letters', ['e1', 'e2', 'e1', 'e4', 'e2'], 2),
    ],
    [
      'an inline projection, whatever its checkpoint',
      history('totals', ['e1', 'e2', 'e4', 'e5'], 0),
    ],
  ])('accepts %s', (_, given) => {
    expect(findingsOf(given)).toEqual([]);
  });

  it.each<[string, LedgerHistory, string[]]>([
    [
      'an event that counts twice',
      history('journal', ['e1', 'e2', 'e1'], 2),
      ['journal/1: position 1 came after 2', 'journal/1: position 1 counts 2 times'],
    ],
    [
      'an event that is missing',
      history('balances', ['e1', 'e2'], 4),
      ['balances/1: position 4 is missing'],
    ],
    [
      'an event that was skipped',
      history('letters', ['e1', 'e5'], 1),
      ['letters/1: position 4 was skipped'],
    ],
    [
      'a projection ahead of its checkpoint',
      history('balances', ['e1', 'e2'], 1),
      ['balances/1: position 2 is ahead of the checkpoint'],
    ],
    [
      'an event before its predecessor',
      history('letters', ['e2', 'e1'], 2),
      ['letters/1: position 1 came after 2'],
    ],
    [
      'an event that is not in the log',
      history('journal', ['e1', 'e3'], 1),
      ['journal/1: handled e3, which is not in the log or not for it'],
    ],
    [
      'an inline projection behind the log',
      history('totals', ['e1', 'e2', 'e4'], 0),
      ['totals/1: position 5 is missing'],
    ],
    [
      'a counter that counts too much',
      history('balances', ['e1'], 1, {
        tallies: [
          { consumer: 'balances', generation: 1, aggregate: 'account/a', events: 2, amount: 20 },
        ],
      }),
      ['balances/1: account/a counts 2 events of 20, not {"events":1,"amount":10}'],
    ],
    [
      'a first delivery that is marked as replayed',
      history('letters', ['e1'], 2, { replayed: ['e2'] }),
      ['letters/1: e2 came as replayed the first time', 'letters/1: position 1 came after 2'],
    ],
    [
      'a hook that was called again',
      history('balances', [], 0, {
        hooks: ['prepare', 'activate', 'prepare'].map((hook) => ({
          consumer: 'balances',
          generation: 1,
          hook,
        })),
      }),
      ['balances: prepare 1 was done again'],
    ],
    [
      'an activated generation that is not in use',
      history('balances', [], 0, {
        hooks: [{ consumer: 'balances', generation: 2, hook: 'activate' }],
      }),
      ['balances: activate 2 was done last, but 1 is in use'],
    ],
  ])('finds %s', (_, given, findings) => {
    expect(detailsOf(given).toSorted()).toEqual(findings.toSorted());
  });

  it('leaves out what former partitions had finished, and only that', () => {
    const row = { consumer: 'journal', generation: 1, position: 0, inUse: true };
    const finished = [{ positions: [2] }];
    const checkpoints = [0, 1].map((partition) => ({ ...row, partition, finished }));
    expect(findingsOf(history('journal', ['e1', 'e2'], 0, { checkpoints }))).toEqual([]);
    expect(detailsOf(history('journal', ['e1'], 0, { checkpoints }))).toEqual([
      'journal/1: position 2 is missing',
    ]);
  });
});
