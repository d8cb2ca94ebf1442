import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { DomainEvent } from '../../lib/events/domain-event.decorator.ts';
import type { EventRecord } from '../../lib/events/event-record.ts';
import type { AppendResult } from '../../lib/store/appending/append.ts';
import { serverAccount } from '../../dev/postgres/server-account.ts';
import { type OwnServer, startOwnServer } from '../support/own-server.ts';
import { openStore, type TestStore } from '../support/store.ts';
import { countCopies, tally } from '../support/tally.ts';

/** A disk in memory that can grow. Only root may mount one. */
interface SmallDisk {
  readonly path: string;
  grow(): void;
  remove(): Promise<void>;
}

async function mountSmallDisk(): Promise<SmallDisk | undefined> {
  const path = await mkdtemp(join(tmpdir(), 'nest-event-store-disk-'));
  const mount = (options: string): void => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path], { stdio: 'ignore' });
  };
  try {
    const { uid, gid } = serverAccount()!;
    mount(`size=20m,mode=0700,uid=${uid},gid=${gid}`);
  } catch {
    await rm(path, { recursive: true });
    return undefined;
  }
  return {
    path,
    grow: () => mount('remount,size=40m'),
    async remove() {
      execFileSync('umount', [path]);
      await rm(path, { recursive: true });
    },
  };
}

const disk = await mountSmallDisk();
const inSmallDatabase = disk ? describe : describe.skip;

@DomainEvent('document.written')
class DocumentWritten {
  constructor(readonly text: string) {}
}

// Skipped where no small disk can be mounted, because the right to do so is missing.
inSmallDatabase('When the disk of the server is full', () => {
  let server: OwnServer;
  let dataSource: DataSource;
  let store: TestStore;

  beforeAll(async () => {
    server = await startOwnServer();
    const setUp = await connect(server.url);
    await setUp.query(`CREATE TABLESPACE small LOCATION '${disk!.path}'`);
    await setUp.query('CREATE DATABASE small TABLESPACE small');
    await setUp.destroy();
    dataSource = await connect(server.url.replace(/\/postgres$/, '/small'));
    store = await openStore(dataSource, { events: [DocumentWritten] });
  });
  afterAll(async () => {
    await dataSource.destroy();
    await server.stop();
    await disk!.remove();
  });

  it('appends are refused as a whole, with nothing lost, and succeed when there is room', async () => {
    const document = { type: 'document', id: '1' };
    // Random, because text that compresses well takes hardly any room.
    const written = (bytes: number) => new DocumentWritten(randomBytes(bytes).toString('base64'));
    // For the small one alone there would be room.
    const both = () => [written(10), written(300_000)];
    const acknowledged: AppendResult[] = [];
    let error: unknown;
    while (error === undefined && acknowledged.length < 100) {
      await store.append(document, both()).then(
        (result) => acknowledged.push(result),
        (thrown: unknown) => (error = thrown),
      );
    }
    expect(error).toMatchObject({
      name: 'DiskFullError',
      retryable: true,
      outcome: 'not-applied',
      message: expect.stringContaining('Make room'),
    });
    const last = acknowledged.at(-1)!.version;
    const records: EventRecord[] = [];
    for await (const record of store.streamByAggregate(document)) records.push(record);
    expect([records.at(-1)!.version, records.length]).toEqual([last, last]);

    disk!.grow();
    const grownAt = performance.now();
    expect(await store.append(document, both())).toMatchObject({ version: last + 2 });
    const recoveryMs = performance.now() - grownAt;
    tally('F14', {
      acknowledged: acknowledged.length + 1,
      ...countCopies(acknowledged.flatMap(idsOf), idsOf({ records })),
      recoveryMs,
    });
  });
});

const idsOf = ({ records }: Pick<AppendResult, 'records'>): string[] => records.map(({ id }) => id);

const connect = (url: string): Promise<DataSource> =>
  new DataSource({ type: 'postgres', url, installExtensions: false }).initialize();
