const asText = (text: string): string => text;

const parsers = new Map<number, (text: string) => unknown>([
  [16, (text) => text === 't'],
  [17, (text) => Buffer.from(text.slice(2), 'hex')], // bytea
  [20, safeInteger], // bigint
  [23, Number], // integer
  [701, Number], // double precision
  [1016, (text) => (text === '{}' ? [] : text.slice(1, -1).split(',').map(safeInteger))], // bigint[]
]);

/** Reads each column as the store needs it, whatever type parsers the application has set for itself. */
export const columnTypes = { getTypeParser: (oid: number) => parsers.get(oid) ?? asText };

/** Versions and positions are numbers; one that a number cannot hold exactly must never be used. */
function safeInteger(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value;
  throw new RangeError(
    `${text} is beyond the safe integers and cannot be a version or a position.`,
  );
}
