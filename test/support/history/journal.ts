import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { Attempt, AttemptError, IntendedAppend, ReadPage, VersionRead } from './history.ts';

/** What the store has answered for one append of a call. */
export interface Answer {
  readonly version: number;
  readonly positions: readonly number[];
}

/** The end of a call: its answer, or its error. */
export type CallEnd =
  | { readonly outcome: 'acknowledged'; readonly answers: readonly Answer[] }
  | { readonly outcome: 'refused' | 'unknown'; readonly error: AttemptError };

type Entry =
  | { kind: 'call'; call: number; at: number; by: string; appends: readonly IntendedAppend[] }
  | ({ kind: 'end'; call: number; at: number } & CallEnd)
  | ({ kind: 'page' } & ReadPage)
  | ({ kind: 'version' } & VersionRead);

/** The content of a journal; the log is read separately. */
export interface JournalledHistory {
  readonly attempts: readonly Attempt[];
  readonly pages: readonly ReadPage[];
  readonly versionReads: readonly VersionRead[];
}

/** Milliseconds by a clock that is one and the same for all processes, and never set. */
export const now = (): number => Number(process.hrtime.bigint()) / 1e6;

/**
 * Records the calls of a process and their answers, each before the process continues.
 *
 * Each entry is handed to the operating system at once, so a process that is killed loses none.
 */
export class Journal {
  readonly #file: number;
  #calls = 0;

  constructor(path: string) {
    this.#file = openSync(path, 'a');
  }

  /** Records a call that begins; returns the function that records its end, and the time it began. */
  call(by: string, appends: readonly IntendedAppend[]) {
    const call = ++this.#calls;
    const startedAt = now();
    this.#write({ kind: 'call', call, at: startedAt, by, appends });
    return {
      startedAt,
      end: (end: CallEnd): void => this.#write({ kind: 'end', call, at: now(), ...end }),
    };
  }

  page(page: ReadPage): void {
    this.#write({ kind: 'page', ...page });
  }

  version(read: VersionRead): void {
    this.#write({ kind: 'version', ...read });
  }

  close(): void {
    closeSync(this.#file);
  }

  #write(entry: Entry): void {
    writeSync(this.#file, `${JSON.stringify(entry)}\n`);
  }
}

/** Reads the journal of a process; a call without an end has an unknown outcome. */
export function readJournal(path: string): JournalledHistory {
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  const entries = lines.map((line) => JSON.parse(line) as Entry);
  const ends = new Map(entries.flatMap((each) => (each.kind === 'end' ? [[each.call, each]] : [])));
  return {
    attempts: entries.flatMap((each) => (each.kind === 'call' ? attempt(each, ends) : [])),
    pages: entries.filter((each) => each.kind === 'page'),
    versionReads: entries.filter((each) => each.kind === 'version'),
  };
}

function attempt(
  { call, at, by, appends }: Extract<Entry, { kind: 'call' }>,
  ends: ReadonlyMap<number, Extract<Entry, { kind: 'end' }>>,
): Attempt {
  const end = ends.get(call);
  if (!end) return { by, appends, startedAt: at, endedAt: Infinity, outcome: 'unknown' };
  const times = { startedAt: at, endedAt: end.at };
  if (end.outcome !== 'acknowledged') {
    return { by, appends, ...times, outcome: end.outcome, error: end.error };
  }
  const answered = appends.map((append, n) => ({ ...append, ...end.answers[n] }));
  return { by, appends: answered, ...times, outcome: end.outcome };
}
