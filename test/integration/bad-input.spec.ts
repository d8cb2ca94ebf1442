import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TestingModule } from '@nestjs/testing';
import {
  type Append,
  DomainEvent,
  EventData,
  EventStore,
  EventStoreModule,
  runWithMetadata,
} from 'nest-event-store';
import { DataSource } from 'typeorm';
import { startApplication } from '../module/start-application.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

@DomainEvent('note.taken')
class NoteTaken {
  constructor(readonly content: unknown) {}
}

@DomainEvent('__proto__')
class Disguised {
  readonly name = 'constructor';
}

const note = { type: 'note', id: 'first' };
const taken = (content: unknown) => [new NoteTaken(content)];

let database: TestDatabase;
let application: TestingModule;
let store: EventStore;

beforeAll(async () => {
  database = await createTestDatabase();
  application = await startApplication(await database.dataSource(), {
    imports: [
      EventStoreModule.forRoot({ eventBus: 'off' }),
      EventStoreModule.forFeature({ events: [NoteTaken, Disguised] }),
    ],
  });
  store = application.get(EventStore);
  await store.append(note, taken('before'));
});
afterAll(async () => {
  await application?.close();
  await database?.drop();
});

/** Everything that an append could have left behind, with the positions it used up. */
function traces(): Promise<unknown> {
  return application.get(DataSource).query(
    `SELECT count(*), max(position), (SELECT last_value FROM event_store.positions),
      (SELECT count(*) FROM event_store.aggregates)
    FROM event_store.domain_events`,
  );
}

function throwing(member: string): object {
  const get = (): never => {
    throw new Error('thrown on purpose');
  };
  return Object.defineProperty({}, member, { enumerable: true, get });
}
function nested(depth: number): object {
  let content: object = {};
  for (let level = 1; level < depth; level++) content = { in: content };
  return content;
}
const circular: { lines: object[] } = { lines: [] };
circular.lines.push({ order: circular });

const invalid = (path: string, reason: RegExp) => ({
  code: 'INVALID_EVENT',
  path,
  reason: expect.stringMatching(reason),
});
const wrongType = { name: 'TypeError' };

/** What is wrong; the append, with what is left out as usual; what it is refused with. */
const refused: [what: string, append: { [K in keyof Append]?: unknown }, error: object][] = [
  ['a list with a hole', { events: Object.assign([], { length: 2 }) }, wrongType],
  ['an event that is undefined', { events: [new NoteTaken('x'), undefined] }, wrongType],
  [
    'a NUL in a string',
    { events: taken({ lines: ['a\0'] }) },
    invalid('$.content.lines[0]', /NUL/),
  ],
  ['a NUL in a key', { events: taken({ 'a\0': 1 }) }, invalid('$.content["a\\u0000"]', /NUL/)],
  ['a lone surrogate', { events: taken(['x\ud800']) }, invalid('$.content[0]', /surrogate/)],
  ['NaN', { events: taken({ rate: Number.NaN }) }, invalid('$.content.rate', /NaN/)],
  ['Infinity', { events: taken(Infinity) }, invalid('$.content', /Infinity/)],
  ['1e400', { events: taken(JSON.parse('1e400')) }, invalid('$.content', /Infinity/)],
  ['2^53 + 1', { events: taken(2 ** 53 + 1) }, invalid('$.content', /2\^53/)],
  ['undefined in a list', { events: taken([1, undefined]) }, invalid('$.content[1]', /undefined/)],
  ['a function in a list', { events: taken([() => 1]) }, invalid('$.content[0]', /function/)],
  ['an invalid Date', { events: taken(new Date(Number.NaN)) }, invalid('$.content', /invalid/)],
  ['an undeclared Date', { events: taken(new Date(0)) }, invalid('$.content', /not declared/)],
  ['a Map', { events: taken(new Map([[1, 2]])) }, invalid('$.content', /Map/)],
  ['a Set', { events: taken(new Set([1])) }, invalid('$.content', /Set/)],
  [
    'a Map that has a member',
    { events: taken(Object.assign(new Map([[1, 2]]), { a: 1 })) },
    invalid('$.content', /Map/),
  ],
  [
    'a Set that has a member',
    { events: taken(Object.assign(new Set([1]), { a: 1 })) },
    invalid('$.content', /Set/),
  ],
  ['a RegExp', { events: taken(/x/) }, invalid('$.content', /RegExp/)],
  ['an Error', { events: taken(new Error('x')) }, invalid('$.content', /Error/)],
  ['a Buffer', { events: taken(Buffer.from('x')) }, invalid('$.content', /Buffer/)],
  ['a BigInt', { events: taken([{ cents: 5n }]) }, invalid('$.content[0].cents', /BigInt/)],
  ['a circle', { events: taken(circular) }, invalid('$.content.lines[0].order', /back to/)],
  ['a getter that throws', { events: taken(throwing('a')) }, invalid('$.content.a', /threw/)],
  ['a toJSON that throws', { events: taken(throwing('toJSON')) }, invalid('$.content', /threw/)],
  [
    'a depth of 10,000',
    { events: taken(nested(10_000)) },
    invalid('$.content.in.in.in.in', /maxDepth/),
  ],
  ['64 MiB', { events: taken('x'.repeat(2 ** 26)) }, { code: 'EVENT_TOO_LARGE' }],
  [
    '100,000 events',
    { events: Array.from({ length: 100_000 }, () => taken(1)[0]) },
    { code: 'APPEND_TOO_LARGE' },
  ],
  ['one bad event of two', { events: [...taken(1), ...taken(1n)] }, invalid('$.content', /BigInt/)],
  ['a list for an event', { events: [[1]] }, { code: 'UNREGISTERED_EVENT' }],
  ['a text for an event', { events: ['text'] }, { code: 'UNREGISTERED_EVENT' }],
  ['null for an event', { events: [null] }, { code: 'UNREGISTERED_EVENT' }],
  ['no list of events', { events: 'text' }, wrongType],
  ['a NUL in metadata', { metadata: { actor: 'a\0' } }, invalid('metadata.actor', /NUL/)],
  [
    'a lone surrogate in a key of metadata',
    { metadata: { 'a\udfff': 1 } },
    invalid('metadata["a\\udfff"]', /surrogate/),
  ],
  ['a number for an actor', { metadata: { actor: 112 } }, invalid('metadata.actor', /text/)],
  [
    'a number for the tenant of one event',
    { events: [new EventData(new NoteTaken(1), { metadata: { tenant: 7 as never } })] },
    invalid('metadata.tenant', /text/),
  ],
  [
    'null for a correlationId',
    { metadata: { correlationId: null } },
    invalid('metadata.correlationId', /null/),
  ],
  [
    'a number for a causationId, on a prototype',
    { metadata: Object.create({ causationId: 5 }) as object },
    invalid('metadata.causationId', /text/),
  ],
  [
    'an object for a traceparent',
    { metadata: { traceparent: { toString: () => '00' } } },
    invalid('metadata.traceparent', /object/),
  ],
  ['a Map in metadata', { metadata: { a: new Map() } }, invalid('metadata.a', /Map/)],
  ['a Map for metadata', { metadata: new Map([['a', 1]]) }, invalid('metadata', /an object/)],
  ['a text for metadata', { metadata: 'text' }, invalid('metadata', /an object/)],
  ['a list for metadata', { metadata: [1] }, invalid('metadata', /an object/)],
  ['metadata that throws', { metadata: throwing('actor') }, invalid('metadata', /threw/)],
  [
    'a list for the metadata of one event',
    { events: [new EventData(new NoteTaken(1), { metadata: [] as never })] },
    invalid('metadata', /an object/),
  ],
  ['a number for an aggregate', { aggregate: 5 }, { code: 'INVALID_AGGREGATE_REF' }],
  ['null for an aggregate', { aggregate: null }, { code: 'INVALID_AGGREGATE_REF' }],
  [
    'an id of 100 kB',
    { aggregate: { type: 'note', id: 'x'.repeat(100_000) } },
    { code: 'INVALID_AGGREGATE_REF' },
  ],
  ['2^31 expected', { expectedVersion: 2 ** 31 }, { code: 'WRONG_EXPECTED_VERSION' }],
  ['2^53 + 1 expected', { expectedVersion: 2 ** 53 + 1 }, wrongType],
];

describe('an append of', () => {
  it.each(refused)('%s is refused, and nothing is stored', async (_, given, error) => {
    const { aggregate, events, ...options } = { aggregate: note, events: taken(1), ...given };
    const before = await traces();
    const thrown = await store.append(aggregate as never, events as never, options as never).then(
      () => 'stored',
      (reason: unknown) => reason,
    );
    expect(thrown).toMatchObject(error);
    expect(await traces()).toEqual(before);
  });

  it('an aggregate that changes while it is read uses what was read first', async () => {
    let looks = 0;
    const shifty = {
      type: 'note',
      get id() {
        return (looks += 1) === 1 ? 'shifty' : 'a\0';
      },
    };
    const { records } = await store.append(shifty, taken(1));
    expect(records[0]?.aggregate).toEqual({ type: 'note', id: 'shifty' });
    expect(looks).toBe(1);
  });

  it('names of members of Object.prototype comes back unchanged', async () => {
    const content: unknown = JSON.parse(
      '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},"toString":1}',
    );
    const metadata = JSON.parse('{"__proto__":{"polluted":true},"constructor":"c"}');
    const aggregate = { type: '__proto__', id: 'constructor' };
    await store.append(aggregate, [new NoteTaken(content), new Disguised()], { metadata });
    const { records } = await store.fetchByAggregate(aggregate);
    const [first, second] = records;
    expect(isDeepStrictEqual(first?.event, new NoteTaken(content))).toBe(true);
    expect(isDeepStrictEqual(first?.metadata, metadata)).toBe(true);
    expect(second).toMatchObject({ type: '__proto__', event: new Disguised() });
    expect({}).not.toHaveProperty('polluted');
  });

  it('SQL, wherever it is, is text like any other', async () => {
    const sql = `'"; DROP SCHEMA event_store CASCADE; -- $1 %s \\`;
    const aggregate = { type: sql, id: sql };
    const metadata = { [sql]: sql };
    await store.append(aggregate, taken({ [sql]: sql }), { metadata });
    const { records } = await store.fetch(0, { aggregateTypes: [sql] });
    expect(records).toMatchObject([{ aggregate, metadata, event: { content: { [sql]: sql } } }]);
    expect((await store.fetch(0, { types: [sql] })).records).toEqual([]);
  });
});

describe('a filter of', () => {
  it.each<[string, unknown]>([
    ['a name with NUL', ['note.taken', 'a\0']],
    ['a name with half a surrogate pair', ['a\ud800']],
    ['a number', [5]],
    ['null', [null]],
    ['no list', 'note.taken'],
  ])('%s is refused', async (_, types) => {
    const names = types as string[];
    await expect(store.fetch(0, { types: names })).rejects.toThrow(TypeError);
    await expect(store.fetch(0, { aggregateTypes: names })).rejects.toThrow(TypeError);
  });
});

describe('metadata around an append', () => {
  it.each<[string, unknown]>([
    ['text', 'text'],
    ['a list', [1]],
    ['a Map', new Map()],
    ['null', null],
  ])('cannot be %s', (_, metadata) => {
    expect(() => runWithMetadata(metadata as never, () => undefined)).toThrow(TypeError);
  });

  it('has only text in its named members', () => {
    for (const name of ['actor', 'tenant', 'correlationId', 'causationId', 'traceparent']) {
      for (const value of [112, null, true, {}, ['a'], 5n]) {
        const work = () => runWithMetadata({ [name]: value }, () => undefined);
        expect(work).toThrow(expect.objectContaining(invalid(`metadata.${name}`, /must be text/)));
      }
    }
  });

  it('counts if it comes from a prototype or a getter of a class', async () => {
    class Caller {
      readonly channel = 'web';
      get actor() {
        return 'clerk-7';
      }
    }
    const metadata = { actor: 'clerk-7', channel: 'web' };
    const context = new Caller() as unknown as typeof metadata;
    const aggregate = { type: 'note', id: 'context' };
    const { records } = await runWithMetadata(context, () => store.append(aggregate, taken(1)));
    const own = await store.append(aggregate, taken(2), { metadata: context });
    const inherited = await store.append(aggregate, taken(3), {
      metadata: Object.create(metadata) as typeof metadata,
    });
    const all = [...records, ...own.records, ...inherited.records];
    expect(all.map((record) => record.metadata)).toEqual([metadata, metadata, metadata]);
  });
});
