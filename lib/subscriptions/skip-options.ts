import { applyRules, type OptionRule } from '../input/option-rules.ts';
import { isStorableText } from '../input/storable-text.ts';

/** The person that skips events, and the reason; both are stored with each event. */
export interface SkipOptions {
  /** The name of the person that decides, in up to 255 bytes. @default the database role */
  readonly by?: string;
  /** The reason, in up to 2,000 bytes. @default the name of the method */
  readonly reason?: string;
}

const text = (bytes: number): OptionRule => [
  (value) => isStorableText(value) && value.trim() !== '' && Buffer.byteLength(value) <= bytes,
  `well-formed text of 1 to ${bytes} bytes`,
];

const rules = { by: text(255), reason: text(2_000) };

/** Returns the options of a call of this method. @throws TypeError that names the problem. */
export function checkSkipOptions(method: string, given: SkipOptions): SkipOptions {
  const { options, problems } = applyRules<SkipOptions>(rules, {}, given, method);
  if (problems.length > 0) throw new TypeError(`${method}: ${problems.join(' ')}`);
  return options;
}
