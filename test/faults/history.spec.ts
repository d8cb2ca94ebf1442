import { describe, expect, it } from '@jest/globals';
import type { Attempt, History, ReadPage, StoredEventRow } from '../support/history/history.ts';
import { findingsOfHistory } from '../support/history/history.findings.ts';

const log: StoredEventRow[] = [
  { position: 1, id: 'e1', aggregate: 'account/a', version: 1, body: 'x 1' },
  { position: 2, id: 'e2', aggregate: 'account/a', version: 2, body: 'x 2' },
  { position: 4, id: 'e4', aggregate: 'account/b', version: 1, body: 'x 4' },
  { position: 5, id: 'e5', aggregate: 'account/a', version: 3, body: 'x 5' },
];
const without = (...ids: string[]) => log.filter(({ id }) => !ids.includes(id));
const changed = (id: string, change: Partial<StoredEventRow>) =>
  log.map((row) => (row.id === id ? { ...row, ...change } : row));

const event = (n: number) => ({ id: `e${n}`, body: `x ${n}` });
const acknowledged = { by: 'w', outcome: 'acknowledged' } as const;
const refused = { by: 'w', outcome: 'refused' } as const;
const unknown = { by: 'w', outcome: 'unknown', endedAt: Infinity } as const;
const lost = { name: 'ConnectionLostError', message: '', code: 'CONNECTION_LOST', isTyped: true };
const conflict = (actualVersion: number) => ({
  name: 'WrongExpectedVersionError',
  message: '',
  code: 'WRONG_EXPECTED_VERSION',
  isTyped: true,
  actualVersion,
});

const first: Attempt = {
  ...acknowledged,
  startedAt: 0,
  endedAt: 10,
  appends: [
    { aggregate: 'account/a', events: [event(1), event(2)], version: 2, positions: [1, 2] },
  ],
};
const second: Attempt = {
  ...acknowledged,
  startedAt: 5,
  endedAt: 15,
  appends: [{ aggregate: 'account/b', events: [event(4)], version: 1, positions: [4] }],
};
const third: Attempt = {
  ...acknowledged,
  startedAt: 11,
  endedAt: 20,
  appends: [
    {
      aggregate: 'account/a',
      expectedVersion: 2,
      events: [event(5)],
      version: 3,
      positions: [5],
    },
  ],
};
const attempts = [first, second, third];
/** Appends that commit together, with an unknown outcome. */
const together: Attempt = {
  ...unknown,
  startedAt: 5,
  appends: [...second.appends, ...third.appends].map(({ aggregate, events }) => ({
    aggregate,
    events,
  })),
};

const page = (after: number, position: number, ...read: number[]): ReadPage => ({
  reader: 'r',
  after,
  position,
  events: read.map((n) => ({ position: n, id: `e${n}` })),
});
const told = (version: number, startedAt: number, endedAt: number) => ({
  versionReads: [{ aggregate: 'account/a', version, startedAt, endedAt }],
});
const history = (given: Partial<History> = {}): History => ({
  attempts,
  pages: [],
  versionReads: [],
  log,
  ...given,
});

describe('the check of a history', () => {
  it.each<[string, History]>([
    ['of what was stored as answered', history()],
    ['of readers that were stopped before the end', history({ pages: [page(0, 2, 1, 2)] })],
    ['of readers that read to the end', history({ pages: [page(0, 2, 1, 2), page(2, 5, 4, 5)] })],
    ['of an unknown append that is there', history({ attempts: [first, together] })],
    [
      'of an unknown append that is not there',
      history({ attempts: [first, together], log: without('e4', 'e5') }),
    ],
    [
      'of an unknown append that was repeated, and overtaken meanwhile',
      history({
        attempts: [
          { ...second, outcome: 'unknown', error: lost, startedAt: 0, endedAt: 3 },
          first,
          { ...second, startedAt: 30, endedAt: 40 },
          third,
        ],
      }),
    ],
    [
      'of a refused append that is not there',
      history({
        attempts: [
          ...attempts,
          {
            ...refused,
            startedAt: 12,
            endedAt: 18,
            error: conflict(2),
            appends: [{ aggregate: 'account/a', expectedVersion: 1, events: [event(9)] }],
          },
        ],
      }),
    ],
    ['of a version that was read before and after', history(told(2, 9, 12))],
    ['of a version that was read while it was appended', history(told(3, 12, 13))],
    ['of an aggregate that had no version yet', history(told(0, 0, 1))],
  ])('finds nothing in one %s', (_, given) => {
    expect(findingsOfHistory(given)).toEqual([]);
  });

  it.each<[string, string[], History]>([
    ['an acknowledged event that is gone', ['lost'], history({ log: without('e5') })],
    ['a gap between versions', ['version-gap', 'lost'], history({ log: without('e2') })],
    [
      'a version twice',
      ['version-twice', 'misplaced', 'expectation-ignored'],
      history({ log: changed('e5', { version: 2 }) }),
    ],
    [
      'versions against the order of positions',
      ['version-order', 'unaccounted'],
      history({
        attempts: [],
        log: [log[0]!, { ...log[1]!, version: 3 }, { ...log[3]!, version: 2 }],
      }),
    ],
    [
      'an event twice',
      ['event-twice', 'misplaced', 'expectation-ignored'],
      history({ log: [...log, { ...log[3]!, position: 6, version: 4 }] }),
    ],
    [
      'a position twice',
      ['position-order', 'misplaced'],
      history({ log: changed('e5', { position: 4 }) }),
    ],
    ['other content', ['changed'], history({ log: changed('e4', { body: 'x 5' }) })],
    [
      'another aggregate',
      ['misplaced'],
      history({ log: changed('e4', { aggregate: 'account/c' }) }),
    ],
    ['another position', ['misplaced'], history({ log: changed('e5', { position: 6 }) })],
    [
      'half of an append with an unknown outcome',
      ['half-stored'],
      history({ attempts: [first, together], log: without('e5') }),
    ],
    [
      'an append in two pieces',
      ['torn'],
      history({
        attempts: [
          {
            ...first,
            ...unknown,
            appends: [{ aggregate: 'account/a', events: [event(1), event(5)] }],
          },
          {
            ...unknown,
            startedAt: 0,
            appends: [{ aggregate: 'account/a', events: [event(2)] }],
          },
          second,
        ],
      }),
    ],
    [
      'a refused append that is there',
      ['refused-but-stored'],
      history({ attempts: [first, { ...second, outcome: 'refused' }, third] }),
    ],
    ['an event that was never appended', ['unaccounted'], history({ attempts: [first, second] })],
    [
      'an append that took another version than it expected',
      ['expectation-ignored'],
      history({
        attempts: [
          first,
          second,
          { ...third, appends: [{ ...third.appends[0]!, expectedVersion: 1 }] },
        ],
      }),
    ],
    [
      'a conflict with the very version that was expected',
      ['false-conflict'],
      history({
        attempts: [
          ...attempts,
          {
            ...refused,
            startedAt: 20,
            endedAt: 30,
            error: conflict(3),
            appends: [{ aggregate: 'account/a', expectedVersion: 3, events: [event(9)] }],
          },
        ],
      }),
    ],
    [
      'a repetition that met its own first attempt as a conflict',
      ['false-conflict'],
      history({
        attempts: [
          first,
          second,
          { ...third, outcome: 'unknown', error: lost },
          { ...third, outcome: 'refused', startedAt: 21, endedAt: 25, error: conflict(3) },
        ],
      }),
    ],
    [
      'an append stored before one that was answered earlier',
      ['overtaken'],
      history({ attempts: [first, { ...second, startedAt: 30, endedAt: 31 }, third] }),
    ],
    [
      'an error that is not the store’s',
      ['untyped-error'],
      history({
        attempts: [
          first,
          { ...second, outcome: 'unknown', error: { ...lost, isTyped: false } },
          third,
        ],
      }),
    ],
    ['a version from before an answer', ['stale-version'], history(told(2, 21, 22))],
    ['a version in the middle of an append', ['invented-version'], history(told(1, 1, 12))],
    ['a version from before its append', ['invented-version'], history(told(3, 1, 10))],
    ['a reader that skips', ['skipped'], history({ pages: [page(0, 2, 1, 2), page(2, 5, 5)] })],
    ['a reader whose next page begins too late', ['skipped'], history({ pages: [page(0, 4)] })],
    [
      'a reader that gets an event twice',
      ['read-twice'],
      history({ pages: [page(0, 2, 1, 2), page(1, 2, 2)] }),
    ],
    [
      'a reader that reorders events',
      ['read-out-of-order'],
      history({ pages: [page(0, 2, 2, 1)] }),
    ],
    [
      'a reader that sees an event that is not stored in the end',
      ['read-but-not-stored'],
      history({ pages: [page(0, 3, 1, 2, 3)] }),
    ],
  ])('names %s', (_, kinds, given) => {
    expect([...new Set(findingsOfHistory(given).map(({ kind }) => kind))]).toEqual(kinds);
  });
});
