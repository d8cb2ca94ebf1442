const asText = (text: string): string => text;

const parsers = new Map<number, (text: string) => unknown>([
  [16, (text) => text === 't'],
  [17, bytes], // bytea
  [20, safeInteger], // bigint
  [23, Number], // integer
  [1700, Number], // numeric
  [1016, (text) => (text === '{}' ? [] : text.slice(1, -1).split(',').map(safeInteger))], // bigint[]
]);

/** Parses each column as the store needs it, whatever type parsers the application has set globally. */
export const columnTypes = { getTypeParser: (oid: number) => parsers.get(oid) ?? asText };

/** The format of bytes depends on `bytea_output`: hex digits, or text with octal escapes. */
function bytes(text: string): Buffer {
  if (text.startsWith('\\x')) return Buffer.from(text.slice(2), 'hex');
  const unescaped = text.replace(/\\(\\|[0-7]{3})/g, (_, escaped: string) =>
    escaped === '\\' ? escaped : String.fromCharCode(parseInt(escaped, 8)),
  );
  return Buffer.from(unescaped, 'latin1');
}

/** Versions and positions are numbers; a value that a number cannot hold exactly must never be used. */
function safeInteger(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value;
  throw new RangeError(
    `${text} is beyond the safe integers and cannot be a version or a position.`,
  );
}
