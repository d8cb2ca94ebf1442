import { ownOptions } from './known-options.ts';
import { nearestName } from './nearest-name.ts';

/** A check of an option's value, and the words with which a problem describes a valid value. */
export type OptionRule = readonly [accepts: (value: unknown) => boolean, wanted: string];

export const wholeNumber = (min: number, max: number): OptionRule => [
  (value) => Number.isInteger(value) && (value as number) >= min && (value as number) <= max,
  `a whole number from ${min} to ${max}`,
];

export const flag: OptionRule = [(value) => typeof value === 'boolean', 'true or false'];

export const aFunction: OptionRule = [(value) => typeof value === 'function', 'a function'];

export const oneOf = (...words: string[]): OptionRule => [
  (value) => words.includes(value as string),
  `one of ${words.map((word) => `'${word}'`).join(', ')}`,
];

/**
 * Returns the given options over their defaults, and their problems: keys without a rule, and values
 * that their rule does not accept. `undefined` means the default.
 *
 * `others` are options that the caller has already taken out, so that a misspelt one of them is
 * recognized, too.
 *
 * @throws TypeError if they are no object or cannot be read; `subject` begins its message.
 */
export function applyRules<Options extends object>(
  rules: Record<keyof Options, OptionRule>,
  defaults: Options,
  given: object,
  subject = 'The call',
  others: readonly string[] = [],
): { readonly options: Options; readonly problems: readonly string[] } {
  const problems: string[] = [];
  const options = { ...defaults } as Record<string, unknown>;
  for (const [key, value] of Object.entries(ownOptions(subject, given, Object.keys(rules)))) {
    const rule = Object.hasOwn(rules, key) ? rules[key as keyof Options] : undefined;
    if (!rule) {
      const meant = nearestName(key, [...Object.keys(rules), ...others]);
      const isMisspelt = meant !== undefined && meant !== key;
      problems.push(
        `There is no option '${key}'${isMisspelt ? `; did you mean '${meant}'?` : '. Remove it.'}`,
      );
    } else if (value !== undefined) {
      const [accepts, wanted] = rule;
      if (accepts(value)) options[key] = value;
      else problems.push(`The option '${key}' must be ${wanted}.`);
    }
  }
  return { options: options as Options, problems };
}
