import type { AsyncLocalStorage } from 'node:async_hooks';
import { access, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { format, inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { ConflictException, type Type } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import * as library from 'nest-event-store';
import request from 'supertest';
import { DataSource, type EntityManager } from 'typeorm';
import ts from 'typescript';
import { resolveOptions } from '../../lib/module/options.ts';
import { startApplication, startBare } from '../module/start-application.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually, patiently } from '../support/eventually.ts';
import { Counted } from '../support/store.ts';
import { readReadme, writeModules } from './readme.ts';

const { EventStore, EventStoreError, EventStoreModule } = library;

/** The result of running a block. */
interface Run {
  readonly exports: unknown;
  readonly printed: readonly string[];
  readonly error?: unknown;
}

const readme = await readReadme();
const packageJson = JSON.parse(await readFile('package.json', 'utf8'));
const runs = new Map<string, Run>();
let files: string[];
let program: ts.Program;
let database: TestDatabase;

beforeAll(async () => {
  files = await writeModules(readme.blocks);
  program = createProgram([...files, 'lib/index.ts']);
  database = await createTestDatabase();
  process.env['DATABASE_URL'] = database.url;
  // In the order of the page: a guide may read what an earlier one has appended.
  for (const [index, { title }] of readme.blocks.entries()) {
    runs.set(title, await run(files[index]!));
  }
});

afterAll(async () => {
  const directory = dirname(files[0]!);
  const { workers } = await import(join(directory, 'workers.ts'));
  const { guides } = await import(join(directory, 'setting.ts'));
  await workers.close();
  await guides.close();
  await database.drop();
  await rm(directory, { recursive: true });
});

describe.each(readme.blocks)('README.md, "$title"', ({ title, output }) => {
  it('has correct types', () => {
    const file = files[readme.blocks.findIndex((block) => block.title === title)]!;
    expect(typeErrors(file)).toEqual([]);
  });

  it('runs, and prints what it says', () => {
    const { error, printed } = runs.get(title)!;
    expect(error).toBeUndefined();
    expect(printed).toEqual(output);
  });
});

describe('The guides of README.md', () => {
  const exportsOf = (title: string): unknown => runs.get(title)!.exports;
  const start = async (feature: library.EventStoreFeature) =>
    startApplication(await database.dataSource(), {
      imports: [EventStoreModule.forRoot(), EventStoreModule.forFeature(feature)],
    });

  it('join the ambient transaction', async () => {
    const { AppModule, ambient } = exportsOf('Join the ambient transaction') as {
      AppModule: Type;
      ambient: AsyncLocalStorage<EntityManager>;
    };
    const counting = EventStoreModule.forFeature({ events: [Counted] });
    const app = await startBare({ imports: [AppModule, counting] });
    const store = app.get(EventStore);
    const counter = { type: 'counter', id: 'rolled-back' };
    const work = app.get(DataSource).transaction((manager) =>
      ambient.run(manager, async () => {
        const { version } = await store.append(counter, [new Counted(1)]);
        throw new Error(`rolled back at version ${version}`);
      }),
    );
    await expect(work).rejects.toThrow('rolled back at version 1');
    expect(await store.currentVersion(counter)).toBe(0);
    await app.close();
  });

  it('keep a snapshot and load from it', async () => {
    const { MoneyDeposited } = exportsOf('Sixty seconds') as { MoneyDeposited: library.EventClass };
    const { Vault } = exportsOf('Snapshots') as { Vault: library.AggregateClass<Vault> };
    const app = await start({ aggregates: [Vault], events: [MoneyDeposited] });
    const vaults = app.get(library.getAggregateRepositoryToken(Vault), { strict: false });
    const vault = new Vault('v-1');
    for (let deposits = 1; deposits <= 101; deposits++) vault.deposit(2);
    await vaults.save(vault);
    const ref = { type: 'vault', id: 'v-1' };
    expect(await app.get(EventStore).getSnapshot(ref)).toEqual({
      version: 101,
      state: { cents: 202 },
    });
    expect((await vaults.load('v-1')).cents).toBe(202);
    await app.close();
  });

  it('read old events as the new revision', async () => {
    const { Deposited, addCurrency } = exportsOf('Evolve events') as {
      Deposited: library.EventClass;
      addCurrency: library.Upcaster;
    };
    const app = await start({ events: [Deposited], upcasters: [addCurrency] });
    const { records } = await app.get(EventStore).fetch(0, { types: [Deposited], limit: 1 });
    expect(records).toMatchObject([{ revision: 2, event: { cents: 200, currency: 'EUR' } }]);
    expect(records[0]!.event).toBeInstanceOf(Deposited);
    await app.close();
  });

  it('keep stores apart', async () => {
    const { AppModule } = exportsOf('Several stores') as {
      AppModule: Type<{ audit: library.EventStore }>;
    };
    const app = await startBare({ imports: [AppModule] });
    expect(await app.get(EventStore).currentPosition()).toBeGreaterThan(0);
    expect(await app.get(AppModule).audit.currentPosition()).toBe(0);
    await app.close();
  });
});

describe('The consumers of README.md', () => {
  const classes = () =>
    Object.assign({}, ...[...runs.values()].map((each) => each.exports)) as Record<string, Type>;
  const opened = (owner: string) => new (classes()['AccountOpened'] as Type)(owner);
  /** Returns a provider of the application that runs them. */
  const ofWorkers = async <T>(token: Type<T> | library.EventClass): Promise<T> => {
    const { workers } = await import(join(dirname(files[0]!), 'workers.ts'));
    return workers.get(token, { strict: false });
  };
  const centsOf = async (id: string): Promise<number | undefined> => {
    const dataSource = await ofWorkers<DataSource>(DataSource);
    const [row] = await dataSource.query('SELECT cents FROM balances WHERE id = $1', [id]);
    return row?.cents;
  };

  it('write to new customers and give them one bonus each', async () => {
    const { Mailer, PayBonus, PayBonusHandler, bonusIdFor } = classes() as {
      Mailer: Type<{ letters: ReadonlyMap<string, string> }>;
      PayBonus: Type;
      PayBonusHandler: Type<{ execute(command: object): Promise<void> }>;
      bonusIdFor: Type & ((cause: string) => string);
    };
    const store = await ofWorkers<library.EventStore>(EventStore);
    const ivy = { type: 'account', id: 'ivy' };
    const { records } = await store.append(ivy, [opened('Ivy')]);
    const [{ id }] = records as [library.EventRecord];
    await eventually(async () => (await centsOf('ivy')) === 500);
    await (await ofWorkers(PayBonusHandler)).execute(new PayBonus('ivy', bonusIdFor(id)));
    expect(await store.currentVersion(ivy)).toBe(2);

    const consumers = await ofWorkers(library.Consumers);
    await consumers.waitFor('welcome-letters', await store.currentPosition(), patiently);
    // The reset has delivered the earlier accounts again, and they get no letter.
    expect([...(await ofWorkers(Mailer)).letters]).toEqual([[id, 'Welcome, Ivy.']]);
  });

  it('apply the events that were parked after one that is given up', async () => {
    const consumers = await ofWorkers(library.Consumers);
    await eventually(async () => (await consumers.parked('statements')).length === 0);
  });

  it('refuse a second account of one owner', async () => {
    const { Owners, AccountOpened } = classes();
    const app = await startApplication(await database.dataSource(), {
      imports: [
        EventStoreModule.forRoot({ schema: 'unique_owners' }),
        EventStoreModule.forFeature({ events: [AccountOpened as library.EventClass] }),
      ],
      providers: [Owners!],
    });
    const store = app.get(EventStore);
    await store.append({ type: 'account', id: '1' }, [opened('Ada')]);
    const second = store.append({ type: 'account', id: '2' }, [opened('Ada')]);
    await expect(second).rejects.toThrow(new ConflictException('Ada has an account already.'));
    expect(await store.currentVersion({ type: 'account', id: '2' })).toBe(0);
    await app.close();
  });

  it('are waited for by the controller, in an application that runs none', async () => {
    const { AccountsController, BankModule } = classes();
    const testing = Test.createTestingModule({
      imports: [BankModule!],
      controllers: [AccountsController!],
    });
    const app = (await testing.compile()).createNestApplication({ logger: false });
    await app.init();
    const { position } = await app
      .get(EventStore)
      .append({ type: 'account', id: 'jon' }, [opened('Jon')]);
    const answer = await request(app.getHttpServer())
      .get('/accounts/jon')
      .set('Event-Position', String(position));
    expect(answer.body).toMatchObject({ id: 'jon', owner: 'Jon' });
    await app.close();
  });
});

interface Vault extends library.IdentifiedAggregate {
  readonly cents: number;
  deposit(cents: number): void;
}

describe('The links of README.md', () => {
  it.each(readme.links)('%s leads somewhere', async (link) => {
    const [path = '', heading] = link.split('#');
    if (path === '') expect(readme.anchors).toContain(heading);
    else await expect(access(path)).resolves.toBeUndefined();
  });
});

describe('The tables of README.md', () => {
  const table = (title: string, value: string) =>
    Object.fromEntries(readme.rows(title).map((row) => [row[title], row[value]]));

  it('name the options of the module and their defaults', () => {
    const named = table('Option', 'Default');
    expect(named).toEqual(optionsOf('EventStoreOptions'));
    const { options } = resolveOptions();
    // The default of preparedStatements depends on another option.
    const { preparedStatements, ...constant } = options;
    expect(preparedStatements).toBe(options.pooler === 'none');
    for (const [option, value] of Object.entries(constant)) {
      if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
        expect({ [option]: named[option] }).toEqual({ [option]: inspect(value) });
      }
    }
    expect(options.codec).toBeInstanceOf(library.JsonCodec);
    expect(options.transactionManager()).toBeUndefined();
  });

  it.each([
    ['forRoot', 'EventStoreExtras'],
    ['forFeature', 'StoreSelection'],
    ['ReadYourWrites', 'StoreSelection'],
    ['@DomainEvent', 'DomainEventOptions'],
    ['@Aggregate', 'AggregateOptions'],
    ['append', 'AppendOptions'],
    ['execute', 'ExecuteOptions'],
    ['fetch', 'ReadOptions'],
    ['BinaryCodec', 'BinaryCodecOptions'],
    ['rebuild', 'RebuildOptions'],
    ['waitFor', 'WaitOptions'],
    ['exponentialBackoff', 'ExponentialBackoffOptions'],
  ])('name the options of %s and their defaults', (where, interfaceName) => {
    const rows = readme.rows('Where').filter((row) => row['Where'] === where);
    const named = rows.map((row) => [row['Option'], row['Default']]);
    expect(Object.fromEntries(named)).toEqual(optionsOf(interfaceName));
  });

  it('name the options of consumers and their defaults', () => {
    expect(table('Consumer option', 'Default')).toEqual({
      ...optionsOf('ProjectionOptions'),
      ...optionsOf('DurableOptions'),
      // Depends on the kind of consumer, so the code cannot state it in one `@default`.
      from: "'start', and 'now' for handlers and sagas",
    });
  });

  it('name the errors and their codes', () => {
    const errors = Object.entries(library).flatMap(([name, value]) =>
      typeof value === 'function' && value.prototype instanceof EventStoreError ? [name] : [],
    );
    // The base of the database's errors is abstract: like EventStoreError, it has no code of its own.
    const thrown = errors.filter((name) => name !== library.DatabaseError.name);
    const codes = Object.fromEntries(thrown.map((name) => [name, codeOf(name)]));
    expect(table('Error', 'code')).toEqual(codes);
  });

  it('name the peer dependencies and their ranges', () => {
    expect(table('Peer dependency', 'Range')).toEqual(packageJson.peerDependencies);
  });

  it('name the runtime dependencies', () => {
    expect(Object.keys(table('Dependency', 'Reason'))).toEqual(
      Object.keys(packageJson.dependencies),
    );
  });
});

async function run(file: string): Promise<Run> {
  const printed: string[] = [];
  const log = jest.spyOn(console, 'log').mockImplementation((...values: unknown[]) => {
    printed.push(format(...values));
  });
  try {
    return { exports: await import(file), printed };
  } catch (error) {
    return { exports: {}, printed, error };
  } finally {
    log.mockRestore();
  }
}

/** Makes one program of all blocks and the library, with the options of the repository. */
function createProgram(rootNames: string[]): ts.Program {
  const { config } = ts.readConfigFile('tsconfig.json', (path) => ts.sys.readFile(path));
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, process.cwd());
  return ts.createProgram(rootNames, { ...options, noEmit: true });
}

function typeErrors(file: string): string[] {
  const source = program.getSourceFile(file)!;
  const errors = [
    ...program.getSyntacticDiagnostics(source),
    ...program.getSemanticDiagnostics(source),
  ];
  return errors.map(({ start = 0, messageText }) => {
    const { line } = source.getLineAndCharacterOfPosition(start);
    const code = source.text.split('\n')[line]!.trim();
    return `${code} → ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
  });
}

function declaredType(name: string): ts.Type {
  const checker = program.getTypeChecker();
  const index = checker.getSymbolAtLocation(program.getSourceFile('lib/index.ts')!)!;
  const exported = checker.getExportsOfModule(index).find((symbol) => symbol.name === name)!;
  return checker.getDeclaredTypeOfSymbol(checker.getAliasedSymbol(exported));
}

/** Returns what the comments of an interface say about the defaults of its members. */
function optionsOf(interfaceName: string): Record<string, string> {
  const members = declaredType(interfaceName).getProperties();
  return Object.fromEntries(
    members.map((member) => {
      const tag = member.getJsDocTags().find(({ name }) => name === 'default');
      return [member.name, tag ? ts.displayPartsToString(tag.text) : 'none'];
    }),
  );
}

/** Returns the value that a class of errors gives to `code`. */
function codeOf(className: string): string {
  const { valueDeclaration } = declaredType(className).getProperty('code')!;
  const { initializer } = valueDeclaration as ts.PropertyDeclaration;
  return (initializer as ts.StringLiteral).text;
}
