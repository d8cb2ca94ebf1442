import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';

/** One block of TypeScript in README.md. */
export interface Block {
  /** The heading above it. */
  readonly title: string;
  readonly code: string;
  /** The lines that README.md says it prints: after `console.log`, or in the text block that follows. */
  readonly output: readonly string[];
}

/** One row of a table in README.md, by the titles of the columns, without backticks. */
export type Row = Readonly<Record<string, string>>;

export interface Readme {
  readonly blocks: readonly Block[];
  /** Where its links lead to, inside the page or the repository. */
  readonly links: readonly string[];
  readonly anchors: readonly string[];
  /** Returns the rows of the table whose first column has this title. */
  rows(firstColumn: string): Row[];
}

export async function readReadme(): Promise<Readme> {
  const text = await readFile('README.md', 'utf8');
  const fences = [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)];
  const blocks = fences.flatMap(({ index, 1: language, 2: code = '' }, place): Block[] => {
    if (language !== 'ts') return [];
    const title = [...text.slice(0, index).matchAll(/^##+ (.+)$/gm)].at(-1)![1]!;
    const [, nextLanguage, nextCode = ''] = fences[place + 1] ?? [];
    const printed = nextLanguage === 'text' ? nextCode.trimEnd().split('\n') : commentsOf(code);
    return [{ title, code, output: printed }];
  });
  const links = [...text.matchAll(/\]\((?!https?:)([^)]+)\)/g)].map(([, link]) => link!);
  const headings = [...text.matchAll(/^##+ (.+)$/gm)].map(([, heading]) => heading!);
  const anchors = headings.map((heading) => heading.toLowerCase().replaceAll(' ', '-'));
  return { blocks, links, anchors, rows: (firstColumn) => rowsOf(text, firstColumn) };
}

/**
 * Writes each block as a module of its own and returns the files, in order.
 *
 * The first is written as it is. The others may use what it imports, the classes that earlier
 * ones export, and `store`, `accounts`, `dataSource` and `consumers`, without importing them.
 */
export async function writeModules([example, ...guides]: readonly Block[]): Promise<string[]> {
  await mkdir('.build', { recursive: true });
  const directory = await mkdtemp(resolve('.build', 'readme-'));
  const imports = example!.code.match(/^import [^;]+;$/gm)!.join('\n');
  const given = new Map([
    ...['accounts', 'dataSource', 'store'].map((name) => [name, './setting.ts'] as const),
    ['consumers', './workers.ts'],
  ]);
  const write = async (name: string, code: string): Promise<string> => {
    const file = join(directory, `${name.toLowerCase().replaceAll(/\W+/g, '-')}.ts`);
    await writeFile(file, code);
    return file;
  };
  /** Adds in front of a block the imports that it leaves out. */
  const completed = (code: string): string => {
    const used = [...given].filter(
      ([name]) => new RegExp(`\\b${name}\\b`).test(code) && !exportsOf(code).includes(name),
    );
    const lines = used.map(([name, file]) => `import { ${name} } from '${file}';`);
    return [imports, ...lines, code].join('\n');
  };
  const files: string[] = [];
  for (const { title, code } of [example!, ...guides]) {
    const file = await write(title, files.length === 0 ? code : completed(code));
    for (const name of exportsOf(code)) {
      if (!given.has(name)) given.set(name, `./${basename(file)}`);
    }
    files.push(file);
  }
  await write('setting', completed(setting));
  await write('workers', completed(workers));
  return files;
}

const exportsOf = (code: string): string[] =>
  [...code.matchAll(/^export (?:class|const|function) (\w+)/gm)].map(([, name]) => name!);

const setting = `
import { getDataSourceToken } from '@nestjs/typeorm';
import { EventStore, getAggregateRepositoryToken } from 'nest-event-store';
import type { DataSource } from 'typeorm';

@Module({
  imports: [
    TypeOrmModule.forRoot({ name: 'guides', type: 'postgres', url: process.env.DATABASE_URL }),
    CqrsModule.forRoot(),
    EventStoreModule.forRoot({ dataSource: 'guides' }),
    EventStoreModule.forFeature({ aggregates: [Account], events: [AccountOpened, MoneyDeposited] }),
  ],
})
class GuidesModule {}

export const guides = await NestFactory.createApplicationContext(GuidesModule, { logger: false });
export const store = guides.get(EventStore);
export const accounts = guides.get(getAggregateRepositoryToken(Account), { strict: false });
export const dataSource = guides.get<DataSource>(getDataSourceToken('guides'));
`;

/** The application that runs the consumers of the guides, as beside one that serves requests. */
const workers = `
import { Consumers } from 'nest-event-store';

@Module({
  imports: [
    TypeOrmModule.forRoot({ type: 'postgres', url: process.env.DATABASE_URL }),
    CqrsModule.forRoot(),
    EventStoreModule.forRoot({ eventBus: 'off' }),
    EventStoreModule.forFeature({ events: [AccountOpened, MoneyDeposited] }),
  ],
  providers: [Balances, Statements, Mailer, WelcomeLetters, Bonuses, PayBonusHandler],
})
class WorkersModule {}

export const workers = await NestFactory.createApplicationContext(WorkersModule, { logger: false });
export const consumers = workers.get(Consumers);
`;

function commentsOf(code: string): string[] {
  return [...code.matchAll(/console\.log\(.*\/\/ (.+)$/gm)].map(([, comment]) => comment!);
}

function rowsOf(text: string, firstColumn: string): Row[] {
  const tables = text.match(/(?:^\|.*\n)+/gm) ?? [];
  const lines = tables
    .map((table) => table.trimEnd().split('\n').map(cellsOf))
    .find(([titles]) => titles?.[0] === firstColumn);
  if (!lines) throw new Error(`README.md has no table whose first column is '${firstColumn}'.`);
  const [titles = [], , ...rows] = lines;
  return rows.map((cells) =>
    Object.fromEntries(titles.map((title, column) => [title, cells[column]!])),
  );
}

function cellsOf(line: string): string[] {
  const cells = line.split(/(?<!\\)\|/).slice(1, -1);
  return cells.map((cell) => cell.trim().replaceAll('`', '').replaceAll('\\|', '|'));
}
