import { inspect } from 'node:util';
import { nearestName } from './nearest-name.ts';

/**
 * The options that one kind of call takes.
 *
 * Every object of options of the public API is read here or by `ownOptions`, so that all of them are
 * read alike: an option counts even if it comes from a prototype or a getter, and is read once, so that
 * the checked value is the used value.
 */
export class KnownOptions<Options extends object> {
  readonly #subject: string;
  readonly #names: readonly string[];

  /** `subject` begins the error messages. The compiler makes sure that `names` lists every option. */
  constructor(subject: string, names: Readonly<Record<keyof Options, true>>) {
    this.#subject = subject;
    this.#names = Object.keys(names);
  }

  /**
   * Returns the given options as a plain object, without those that are `undefined`.
   *
   * @throws TypeError if they are no object, cannot be read, or include an unknown name: a misspelt
   * option would otherwise be ignored silently. The message names the option that was most likely
   * meant.
   */
  take(given: Options): Options {
    const { options, unknown } = read(this.#subject, given, this.#names);
    if (unknown !== undefined) this.#refuse(unknown[0]!);
    return options as Options;
  }

  #refuse(name: string): never {
    const meant = nearestName(name, this.#names);
    throw new TypeError(
      `${this.#subject} has no '${name}'; ` +
        (meant === undefined
          ? `it may have ${this.#names.join(', ')}.`
          : `did you mean '${meant}'?`),
    );
  }
}

/**
 * Returns a plain copy of options, unknown ones included, for a caller that reports all problems at
 * once.
 *
 * @throws TypeError if they are no object or cannot be read.
 */
export function ownOptions<Options extends object>(
  subject: string,
  given: Options,
  names: readonly string[],
): Options {
  const { options, unknown = [] } = read(subject, given, names);
  return { ...Object.fromEntries(unknown.map((name) => [name, undefined])), ...options } as Options;
}

interface Reading {
  readonly options: Record<string, unknown>;
  /** Allocated only if there is an unknown name, because every append reads options. */
  readonly unknown: readonly string[] | undefined;
}

function read(subject: string, given: object, names: readonly string[]): Reading {
  if (typeof given !== 'object' || given === null) return refuseKind(subject, given);
  try {
    // A promise that was not awaited has no members, and would pass as an empty object of options.
    if (!Array.isArray(given) && !(given instanceof Promise)) {
      return { options: valuesOf(given, names), unknown: unknownOf(given, names) };
    }
  } catch (cause) {
    throw new TypeError(
      `${subject} has options that cannot be read: a getter or a Proxy threw; see the cause.`,
      { cause },
    );
  }
  return refuseKind(subject, given);
}

function valuesOf(given: object, names: readonly string[]): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  for (const name of names) {
    const value = (given as Record<string, unknown>)[name];
    if (value !== undefined) options[name] = value;
  }
  return options;
}

/** Returns the names of all members: own ones, those of prototypes, and the getters of classes. */
export const memberNamesOf = (given: object): readonly string[] => unknownOf(given, []) ?? [];

function unknownOf(given: object, names: readonly string[]): string[] | undefined {
  let unknown: string[] | undefined;
  const add = (name: string): void => void (unknown ??= []).push(name);
  for (const name in given) {
    // Other code may have added members to Object.prototype; they are no part of these options.
    if (!names.includes(name) && !isOfEveryObject(given, name)) add(name);
  }
  let prototype = Object.getPrototypeOf(given) as object | null;
  if (prototype === Object.prototype) return unknown;
  // The getters of a class are not enumerable.
  for (; prototype !== null; prototype = Object.getPrototypeOf(prototype) as object | null) {
    if (isRoot(prototype)) break;
    for (const name of Object.getOwnPropertyNames(prototype)) {
      const member = Object.getOwnPropertyDescriptor(prototype, name)!;
      if ('get' in member && !member.enumerable && !names.includes(name)) add(name);
    }
  }
  return unknown;
}

function isOfEveryObject(given: object, name: string): boolean {
  let owner: object | null = given;
  while (owner !== null && !Object.hasOwn(owner, name)) {
    owner = Object.getPrototypeOf(owner) as object | null;
  }
  return owner !== null && owner !== given && isRoot(owner);
}

/** Object.prototype, also that of another realm, such as a vm context. */
const isRoot = (prototype: object): boolean =>
  Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'hasOwnProperty');

function refuseKind(subject: string, given: unknown): never {
  const shown = inspect(given, { depth: -1, maxStringLength: 50 });
  throw new TypeError(`${subject} takes its options as an object, got ${shown}.`);
}
