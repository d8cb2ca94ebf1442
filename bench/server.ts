import { readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { startEmbeddedPostgres } from '../dev/postgres/embedded-postgres.ts';
import { queryOnce } from '../dev/postgres/query-once.ts';
import type { Subject } from './subject.ts';
import { installedVersion } from './subjects/index.ts';

/** The server that everything runs on, as the report describes it. */
export interface BenchServer {
  readonly url: string;
  stop(): Promise<void>;
}

// As in production: every acknowledged commit is on the disk, and a million events fit in memory.
const settings = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  shared_buffers: '1GB',
  max_connections: 300,
};

const packages = ['@nestjs/core', '@nestjs/cqrs', 'typeorm', 'pg'];
const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
const { version: ownVersion } = JSON.parse(manifest) as { version: string };

/** Takes the server of `DATABASE_URL`, or starts an empty one. */
export async function startServer(): Promise<BenchServer> {
  const url = process.env['DATABASE_URL'];
  if (url) return { url, stop: async () => {} };
  return startEmbeddedPostgres({ durable: true, settings });
}

/** Describes the machine, the server and the packages that the figures come from. */
export async function describeEnvironment(
  url: string,
  subjects: readonly Subject[],
): Promise<Record<string, string>> {
  const described = [...Object.keys(settings), 'autovacuum', 'wal_sync_method'];
  const shown = await Promise.all(
    described.map(async (name) => [name, String(await queryOnce(url, `SHOW ${name}`))] as const),
  );
  return {
    date: new Date().toISOString().slice(0, 10),
    processor: `${cpus()[0]?.model ?? 'unknown'}, ${availableParallelism()} cores`,
    node: process.version,
    postgres: String(await queryOnce(url, 'SHOW server_version')),
    ...Object.fromEntries(shown),
    'nest-event-store': ownVersion,
    ...Object.fromEntries(
      [...packages, ...subjects.flatMap((subject) => subject.package ?? [])].map((name) => [
        name,
        installedVersion(name) ?? 'none',
      ]),
    ),
  };
}
