import { parseArgs } from 'node:util';

/** What to run, and how thoroughly. */
export interface BenchOptions {
  /** Measures ours against the baselines only; the exit code says whether a ratio fell by half. */
  readonly quick: boolean;
  readonly rounds: number;
  readonly seconds: number;
  /** Names of scenarios. @default all */
  readonly only: readonly string[] | undefined;
  /** Names of subjects. @default all that are installed */
  readonly subjects: readonly string[] | undefined;
}

/** Reads the options of the command line. @throws Error that says which one is wrong */
export function benchOptions(): BenchOptions {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      only: { type: 'string' },
      subjects: { type: 'string' },
    },
  });
  const { quick } = values;
  return {
    quick,
    rounds: positive('--rounds', values.rounds ?? (quick ? '2' : '3')),
    seconds: positive('--seconds', values.seconds ?? (quick ? '1' : '3')),
    only: values.only?.split(','),
    subjects: values.subjects?.split(','),
  };
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (value > 0) return value;
  throw new Error(`${name} must be a number above 0, got ${text}.`);
}

/** Picks by name, or everything. @throws Error if there is nothing of that name */
export function pick<T extends { readonly name: string }>(
  from: readonly T[],
  names: readonly string[] | undefined,
): readonly T[] {
  const unknown = names?.find((name) => !from.some((each) => each.name === name));
  if (unknown !== undefined) {
    const known = from.map(({ name }) => name).join(', ');
    throw new Error(`There is no "${unknown}". There are: ${known}.`);
  }
  return from.filter(({ name }) => names?.includes(name) ?? true);
}
