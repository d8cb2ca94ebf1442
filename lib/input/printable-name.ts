type Range = readonly [from: number, to: number];

/**
 * Characters that show nothing, or change how the text beside them is shown: in a log line or on a
 * screen, a name with one of them looks like another name or like more than one line.
 *
 * A list of code points and not of Unicode's categories, which grow with the Unicode version: the
 * database checks names by the same list, and both must agree in every release.
 */
const unprintable: readonly Range[] = [
  [0x00, 0x1f], // control
  [0x7f, 0x9f], // control
  [0xad, 0xad], // soft hyphen
  [0x34f, 0x34f], // combining grapheme joiner
  [0x61c, 0x61c], // Arabic letter mark: direction
  [0x115f, 0x1160], // Hangul fillers
  [0x180e, 0x180e], // Mongolian vowel separator
  [0x200b, 0x200b], // zero width space
  [0x200e, 0x200f], // direction
  [0x2028, 0x202e], // line and paragraph separators, direction
  [0x2060, 0x206f], // word joiner, invisible operators, direction
  [0x3164, 0x3164], // Hangul filler
  [0xfeff, 0xfeff], // byte order mark
  [0xffa0, 0xffa0], // Hangul filler
  [0xfff9, 0xfffb], // interlinear annotation
  [0xe0000, 0xe007f], // tags
];

/** White space beyond the list above; inside a name it is welcome, around it nobody can see it. */
const blanks: readonly Range[] = [
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
];

/** Emoji and several scripts need them between two of their characters; anywhere else they hide. */
const joiners: readonly Range[] = [[0x200c, 0x200d]];
const ascii: readonly Range[] = [[0x01, 0x7f]];

/** What a name must not contain, as alternatives of a regular expression; `show` writes a range. */
export const refusedInNames = (show: (from: number, to: number) => string): readonly string[] => {
  const oneOf = (ranges: readonly Range[]): string =>
    `[${ranges.map(([from, to]) => show(from, to)).join('')}]`;
  return [
    oneOf(unprintable),
    `^${oneOf(blanks)}`,
    `${oneOf(blanks)}$`,
    `^${oneOf(joiners)}`,
    `${oneOf(joiners)}$`,
    `${oneOf([...ascii, ...joiners])}${oneOf(joiners)}`,
    `${oneOf(joiners)}${oneOf(ascii)}`,
  ];
};

const showRange = (from: number, to: number): string =>
  `\\u{${from.toString(16)}}-\\u{${to.toString(16)}}`;
const refused = new RegExp(refusedInNames(showRange).join('|'), 'u');
const unprintables = new RegExp(`${refusedInNames(showRange)[0]}|\\p{Cs}`, 'gu');
const visibleAscii = /^[!-~]+$/;

/** The rule for names that are stored and shown, to follow "must be". */
export const nameRule = (maxBytes: number): string =>
  `well-formed text of 1 to ${maxBytes} bytes without control or invisible characters, and without ` +
  'blanks around it';

/** Returns what is wrong with a name, to follow its subject; `undefined` for a good name. */
export function problemOfName(name: unknown, maxBytes: number): string | undefined {
  if (typeof name !== 'string') return `is ${name === null ? 'null' : `of type ${typeof name}`}`;
  // Nearly every name; on the path of every append.
  if (visibleAscii.test(name) && name.length <= maxBytes) return undefined;
  if (name.trim() === '') return name === '' ? 'is empty' : 'is blank';
  // A lone surrogate would reach the database as U+FFFD and make different names equal.
  if (/\p{Cs}/u.test(name)) return 'contains a lone surrogate';
  const [found] = refused.exec(name) ?? [];
  if (found !== undefined) return `contains ${describe(found)}`;
  const bytes = Buffer.byteLength(name);
  return bytes > maxBytes ? `is ${bytes} bytes long` : undefined;
}

function describe(found: string): string {
  if (/\p{Cc}/u.test(found)) return 'a control character';
  if (found.trim() === '' && !/[\u2028\u2029\ufeff]/u.test(found))
    return 'a blank at its beginning or end';
  const [hidden] = /[^!-~]/u.exec(found)!;
  return `an invisible character (U+${hidden.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')})`;
}

/** Returns text on one line, with escapes for what is not a visible character or a blank. */
export const escapeUnprintable = (text: string): string =>
  text.replace(unprintables, (character) => {
    const code = character.codePointAt(0)!;
    return shortEscapes[code] ?? `\\u{${code.toString(16)}}`;
  });

const shortEscapes: Readonly<Record<number, string>> = { 9: '\\t', 10: '\\n', 13: '\\r' };
