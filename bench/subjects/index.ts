import { existsSync, readFileSync } from 'node:fs';
import type { Subject } from '../subject.ts';

/** Every subject, by the name of its file, which exports it as `subject`. */
const files = [
  'ours',
  'raw',
  'unnest',
  'typeorm',
  'emmett',
  'castore',
  'evtstore',
  'ricofritzsche',
  'schemeless',
  'act',
];

/** Returns the subject of that name. A file imports its package in `open` only. */
export async function loadSubject(name: string): Promise<Subject> {
  const { subject } = (await import(`./${name}.ts`)) as { subject: Subject };
  return subject;
}

/** Returns all subjects whose packages are installed. */
export async function installedSubjects(): Promise<Subject[]> {
  const existing = files.filter((name) => existsSync(new URL(`./${name}.ts`, import.meta.url)));
  const subjects = await Promise.all(existing.map(loadSubject));
  return subjects.filter((subject) => !subject.package || installedVersion(subject.package));
}

/** Returns the version of a package as the subjects get it, if it is installed. */
export function installedVersion(name: string): string | undefined {
  for (const place of ['../node_modules/', '../../node_modules/']) {
    const manifest = new URL(`${place}${name}/package.json`, import.meta.url);
    if (existsSync(manifest)) return JSON.parse(readFileSync(manifest, 'utf8')).version;
  }
  return undefined;
}
