type Range = readonly [from: number, to: number];

/**
 * Characters that are invisible, or that change how neighbouring text is shown: in a log line or on a
 * screen, a name with one of them looks like another name or like more than one line.
 *
 * This is a list of code points, because Unicode's categories grow with the Unicode version. The
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

/**
 * White space beyond the list above: allowed inside a name, refused around it, where it is invisible.
 */
const blanks: readonly Range[] = [
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
];

/**
 * Emoji and several scripts need joiners between two of their characters; elsewhere they are invisible.
 */
const joiners: readonly Range[] = [[0x200c, 0x200d]];
const ascii: readonly Range[] = [[0x01, 0x7f]];

/** The alternatives of a regular expression that names must not match; `show` writes a range. */
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

/** The rule for names that are stored and shown, worded to follow "must be". */
export const nameRule = (maxBytes: number): string =>
  `well-formed text of 1 to ${maxBytes} bytes without control or invisible characters, and without ` +
  'blanks around it';

/** Returns the problem of a name, worded to follow its subject; `undefined` for a valid name. */
export function problemOfName(name: unknown, maxBytes: number): string | undefined {
  if (typeof name !== 'string') return `is ${name === null ? 'null' : `of type ${typeof name}`}`;
  // The fast path for nearly every name; every append checks names.
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

/** Returns text on one line, with every character that is neither visible nor a blank escaped. */
export const escapeUnprintable = (text: string): string =>
  text.replace(unprintables, (character) => {
    const code = character.codePointAt(0)!;
    return shortEscapes[code] ?? `\\u{${code.toString(16)}}`;
  });

const shortEscapes: Readonly<Record<number, string>> = { 9: '\\t', 10: '\\n', 13: '\\r' };
