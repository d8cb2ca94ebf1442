import { randomUUID } from 'node:crypto';
import { random, seed } from '../support/random.ts';

export const choices = random(seed());

export type Item = string | number | boolean | null;
/** A call of `append_events` by hand: arrays with their lower bounds, and the rest as it is. */
export interface Call {
  readonly arrays: Record<(typeof arrayNames)[number], { items: Item[]; lower?: number }>;
  payloads: string | null;
  binaries: string | null;
  metadata: string | null;
  flags: (boolean | null)[];
  lockTimeoutMs: number | null;
}

export const arrayNames = [
  'types',
  'ids',
  'planned',
  'expectedNew',
  'appendAggregates',
  'expected',
  'eventAppends',
  'eventIds',
  'eventTypes',
  'revisions',
] as const;
export const separator = '\x1f';

export const literal = ({ items, lower = 1 }: { items: Item[]; lower?: number }): string => {
  const list = `{${items.map((item) => (item === null ? 'NULL' : JSON.stringify(item))).join(',')}}`;
  return lower === 1 || items.length === 0
    ? list
    : `[${lower}:${lower + items.length - 1}]=${list}`;
};

/** What the library would send for a few appends of a few events. */
export function honestCall(): Call {
  const aggregates = Array.from({ length: choices.integer(1, 3) }, (_, n) =>
    choices.next() < 0.3 ? `c-new-${randomUUID()}` : `c-${(choices.integer(0, 20) % 7) * 3 + n}`,
  );
  const ids = [...new Set(aggregates)];
  const appends = ids
    .flatMap((_, n) => (choices.next() < 0.3 ? [n + 1, n + 1] : [n + 1]))
    .map((aggregate) => ({
      aggregate,
      expected: choices.pick([-1, -1, -1, -2, 0, 2]),
      events: choices.integer(0, 3),
    }));
  const events = appends.flatMap((append, n) => Array<number>(append.events).fill(n + 1));
  const of = (n: number) => appends.filter(({ aggregate }) => aggregate === n + 1);
  const sum = (n: number) => of(n).reduce((all, append) => all + append.events, 0);
  const mayCreate = (n: number) =>
    of(n).some((append) => append.events > 0 && [-1, 0].includes(append.expected));
  return {
    arrays: {
      types: { items: ids.map(() => 'counter') },
      ids: { items: ids },
      planned: { items: ids.map((_, n) => (mayCreate(n) ? sum(n) : 0)) },
      expectedNew: { items: ids.map((_, n) => of(n)[0]!.expected === 0 && of(n)[0]!.events > 0) },
      appendAggregates: { items: appends.map((append) => append.aggregate) },
      expected: { items: appends.map((append) => append.expected) },
      eventAppends: { items: events },
      eventIds: { items: events.map(() => randomUUID()) },
      eventTypes: { items: events.map(() => 'counter.counted') },
      revisions: { items: events.map(() => 1) },
    },
    payloads: events.map(() => '{"by": 1}').join(separator),
    binaries: null,
    metadata: events.map(() => '{}').join(separator),
    flags: [choices.next() < 0.3, choices.next() < 0.3, choices.next() < 0.7],
    lockTimeoutMs: choices.pick([null, 1_000]),
  };
}

export const numbers = [-3, -2, -1, 0, 1, 2, 3, 4, 7, 1_000, 2 ** 31 - 1];
export const bigNumbers = [...numbers, 2 ** 53 - 1, '9223372036854775807', '-9223372036854775808'];
export const numbersOf: Partial<Record<(typeof arrayNames)[number], readonly Item[]>> = {
  planned: bigNumbers,
  expected: bigNumbers,
  appendAggregates: numbers,
  eventAppends: numbers,
  revisions: [-1, 0, 1],
  expectedNew: [true, false],
};

/** Changes a call in a way in which the library would not. */
export function mutate(call: Call): void {
  const name = choices.pick(arrayNames);
  const array = call.arrays[name];
  const place = choices.integer(0, Math.max(0, array.items.length - 1));
  switch (choices.integer(1, 11)) {
    case 1:
      array.lower = choices.pick([-1, 0, 2, 5]);
      break;
    case 2:
      array.items[place] = null;
      break;
    case 3:
      array.items.splice(place, 1);
      break;
    case 4:
      array.items.splice(place, 0, array.items[place] ?? null);
      break;
    case 5:
      array.items.reverse();
      break;
    case 6:
      array.items = [];
      break;
    case 7: {
      const ids = call.arrays.ids.items;
      ids[choices.integer(0, ids.length - 1)] = ids[0]!;
      break;
    }
    case 8: {
      const ids = call.arrays.eventIds.items;
      if (ids.length > 0) ids[choices.integer(0, ids.length - 1)] = ids[0]!;
      break;
    }
    case 9:
      call.flags[choices.integer(0, 2)] = choices.pick([true, false, null]);
      break;
    case 10:
      if (choices.next() < 0.5) call.lockTimeoutMs = choices.pick([-1, 0, 2 ** 31 - 1]);
      else call.payloads = choices.pick([null, '', separator, `{}${separator}`, '[]', '{"by": 1}']);
      break;
    default:
      break;
  }
  const pool = numbersOf[name];
  if (pool && choices.next() < 0.7 && array.items.length > 0)
    array.items[place] = choices.pick(pool);
}
