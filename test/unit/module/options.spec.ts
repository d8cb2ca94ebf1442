import { describe, expect, it } from '@jest/globals';
import { AggregateRoot } from '@nestjs/cqrs';
import {
  Aggregate,
  BinaryCodec,
  type Consumers as ConsumersType,
  Consumers,
  DomainEvent,
  Durable,
  EventData,
  EventLogVerifier,
  EventStoreModule,
  grantsSql,
  exponentialBackoff,
  InMemoryEventStore,
  Projection,
  ReadYourWrites,
} from 'nest-event-store';
import {
  drain,
  eventStoreContract,
  EventStoreTestingModule,
  projectionScenario,
  scenario,
} from 'nest-event-store/testing';
import { AggregateRepository } from '../../../lib/aggregates/aggregate-repository.ts';
import { aggregateOf } from '../../../lib/aggregates/aggregate.decorator.ts';
import { resolveOptions } from '../../../lib/module/options.ts';
import { domainEventOf } from '../../../lib/events/domain-event.decorator.ts';
import { resolveConsumerOptions } from '../../../lib/subscriptions/consumer-options.ts';
import { durablesOf } from '../../../lib/handlers/durable.decorator.ts';
import { projectionOf } from '../../../lib/projections/projection.decorator.ts';

@Aggregate('door')
class Door extends AggregateRoot<object> {
  constructor(readonly id: string) {
    super();
  }
}

const doors = new AggregateRepository(new InMemoryEventStore(), Door, aggregateOf(Door)!, {
  cacheSize: 0,
  onWarning: () => undefined,
});
const consumers: ConsumersType = new Consumers(new InMemoryEventStore(), {} as never, {} as never);
const verifier = new EventLogVerifier({} as never);

/** Calls that throw at once what is wrong with their options, with the name of one option. */
const calls: readonly (readonly [
  name: string,
  option: string,
  call: (options: never) => unknown,
])[] = [
  ['EventData', 'id', (options) => new EventData({}, options)],
  ['load', 'manager', (options) => doors.load('a', options)],
  ['find', 'manager', (options) => doors.find('a', options)],
  ['save', 'metadata', (options) => doors.save(new Door('a'), options)],
  ['execute', 'retries', (options) => doors.execute('a', () => undefined, options)],
  ['waitFor', 'timeoutMs', (options) => consumers.waitFor('a', 1, options)],
  ['rebuild', 'from', (options) => consumers.rebuild('a', options)],
  ['verify', 'anchors', (options) => verifier.verify(options)],
  ['anchor', 'privateKey', (options) => verifier.anchor('file', options)],
  ['BinaryCodec', 'compressAboveBytes', (options) => new BinaryCodec(options)],
  ['exponentialBackoff', 'retries', (options) => exponentialBackoff(options)],
  ['InMemoryEventStore', 'events', (options) => new InMemoryEventStore(options)],
  ['grantsSql', 'application', (options) => grantsSql(options)],
  ['forRootAsync', 'useFactory', (options) => EventStoreModule.forRootAsync(options)],
  ['forRootAsync', 'useFactory', (options) => EventStoreTestingModule.forRootAsync(options)],
  ['forRootAsync', 'store', (options) => EventStoreModule.forRootAsync(options)],
  ['forFeature', 'events', (options) => EventStoreModule.forFeature(options)],
  ['forFeature', 'store', (options) => EventStoreModule.forFeature({}, options)],
  ['forFeature', 'store', (options) => EventStoreTestingModule.forFeature({}, options)],
  ['ReadYourWrites', 'store', (options) => ReadYourWrites(['a'], options)],
  ['drain', 'timeoutMs', (options) => drain({} as never, options)],
  ['scenario', 'codec', (options) => scenario(Door, options)],
  ['projectionScenario', 'dataSource', (options) => projectionScenario({}, options)],
  ['eventStoreContract', 'create', (options) => eventStoreContract(options)],
];

/** Declarations whose options are checked when the application starts. */
const declarations: readonly (readonly [
  name: string,
  option: string,
  value: unknown,
  declare: (options: never) => { value: unknown; problems: readonly string[] },
])[] = [
  [
    '@DomainEvent',
    'revision',
    7,
    (options) => {
      class Opened {}
      DomainEvent('opened', options)(Opened);
      const { revision, problems } = domainEventOf(Opened)!;
      return { value: revision, problems };
    },
  ],
  [
    '@Aggregate',
    'snapshotRevision',
    7,
    (options) => {
      class Window extends Door {}
      Aggregate('window', options)(Window);
      const { snapshotRevision, problems } = aggregateOf(Window)!;
      return { value: snapshotRevision, problems };
    },
  ],
  [
    '@Projection',
    'batchSize',
    7,
    (options) => {
      class Doors {}
      Projection('doors', options)(Doors);
      const { settings, problems } = resolveConsumerOptions(
        '',
        projectionOf(Doors)!.options,
        'now',
      );
      return { value: settings.batchSize, problems };
    },
  ],
  [
    '@Durable',
    'partitions',
    7,
    (options) => {
      class Letters {}
      Durable('letters', options)(Letters);
      const [durable] = durablesOf(Letters);
      const { settings, problems } = resolveConsumerOptions('', durable!.options, 'now');
      return { value: settings.partitions, problems };
    },
  ],
  ...[EventStoreModule, EventStoreTestingModule].map(
    (module) =>
      [
        `${module.name}.forRoot`,
        'schema',
        'other_schema',
        (options: never) => {
          const providers = module.forRoot(options).providers as { useValue?: object }[];
          const given = providers.find(({ useValue }) => useValue !== undefined)!.useValue;
          const resolution = resolveOptions(given);
          return { value: resolution.options.schema, problems: resolution.problems };
        },
      ] as const,
  ),
  [
    'what forRootAsync resolves to',
    'schema',
    'other_schema',
    (options) => {
      const resolution = resolveOptions(options);
      return { value: resolution.options.schema, problems: resolution.problems };
    },
  ],
];

const throws = (): never => {
  throw new Error('on purpose');
};
const refusal = async (call: () => unknown): Promise<unknown> => {
  try {
    return await call();
  } catch (error) {
    return error;
  }
};
const typeError = (message: RegExp) =>
  expect.objectContaining({ name: 'TypeError', message: expect.stringMatching(message) });

describe.each(calls)('The options of %s (%s)', (_, option, call) => {
  const misspelt = `${option}s`;
  const got = (options: unknown) => refusal(() => call(options as never));

  it('are read once, even from a getter of a class', async () => {
    let reads = 0;
    class Options {}
    Object.defineProperty(Options.prototype, option, { get: () => void (reads += 1) });
    await got(new Options());
    expect(reads).toBe(1);
  });

  it('are refused if one is misspelt, on a prototype or as a getter of a class', async () => {
    class Options {}
    Object.defineProperty(Options.prototype, misspelt, { get: () => 1 });
    for (const options of [{ [misspelt]: 1 }, Object.create({ [misspelt]: 1 }), new Options()]) {
      expect(await got(options)).toEqual(
        typeError(new RegExp(`${misspelt}.*did you mean '${option}'`)),
      );
    }
  });

  it('are refused if they are no object or cannot be read', async () => {
    for (const options of [null, 5, 'text', [], Promise.resolve({})]) {
      expect(await got(options)).toEqual(typeError(/takes its options as an object, got /));
    }
    const getter = Object.defineProperty({}, option, { get: throws });
    for (const options of [
      getter,
      new Proxy({}, { get: throws }),
      new Proxy({}, { ownKeys: throws }),
    ]) {
      expect(await got(options)).toEqual(typeError(/cannot be read: a getter or a Proxy threw/));
    }
  });
});

describe.each(declarations)('The options of %s (%s)', (_, option, value, declare) => {
  const declared = (options: unknown) => declare(options as never);

  it('count wherever they come from, and are read once', () => {
    let reads = 0;
    class Options {}
    const get = () => (reads++ === 0 ? value : throws());
    Object.defineProperty(Options.prototype, option, { get });
    expect(declared(new Options())).toEqual({ value, problems: [] });
    expect(declared(Object.create({ [option]: value }))).toEqual({ value, problems: [] });
  });

  it('are reported if one is misspelt, wherever it comes from', () => {
    for (const options of [{ [`${option}s`]: 1 }, Object.create({ [`${option}s`]: 1 })]) {
      expect(declared(options).problems).toEqual([expect.stringContaining(`${option}s`)]);
    }
  });

  it('are refused if they cannot be read', async () => {
    const getter = Object.defineProperty({}, option, { get: throws });
    expect(await refusal(() => declared(getter))).toEqual(typeError(/cannot be read/));
  });
});

describe('ReadYourWrites', () => {
  it.each([
    ['a name', 'balances'],
    ['no list', undefined],
    ['a list of something else', [5]],
  ])('refuses %s in place of the names of consumers', async (_, consumers) => {
    expect(await refusal(() => ReadYourWrites(consumers as never))).toEqual(
      typeError(/takes a list of names of consumers, such as \['balances'\], got /),
    );
  });
});

describe('forFeature', () => {
  it('names the argument that has an unknown option', async () => {
    const feature = { events: [], store: 'audit' } as never;
    expect(await refusal(() => EventStoreModule.forFeature(feature))).toEqual(
      typeError(/^The feature of forFeature has no 'store'/),
    );
  });
});

describe('preparedStatements', () => {
  it.each([
    [{}, true],
    [{ pooler: 'none' }, true],
    [{ pooler: 'transaction' }, false],
    [{ pooler: 'transaction', preparedStatements: true }, true],
    [{ preparedStatements: false }, false],
  ] as const)('of %o is %s', (given, preparedStatements) => {
    expect(resolveOptions(given)).toMatchObject({ options: { preparedStatements }, problems: [] });
  });
});

describe('What forRootAsync resolves to', () => {
  it.each(['store', 'dataSource'])('has no %s, which belongs beside the factory', (option) => {
    const { problems } = resolveOptions({ [option]: 'audit' });
    expect(problems).toEqual([`There is no option '${option}'. Remove it.`]);
  });
});
