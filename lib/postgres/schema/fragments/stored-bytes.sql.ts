/**
 * Returns an expression for the bytes that an event takes when it is read; `event` is a row of the log.
 *
 * The size of an uncompressed value is known without reading the value. A compressed value has to be
 * unpacked: a megabyte of text may take a few kilobytes on the disk.
 */
export const storedBytes = (event: string): string => {
  const bytesOf = (column: string): string => `
      CASE WHEN pg_column_compression(${event}.${column}) IS NULL
        THEN pg_column_size(${event}.${column}) ELSE octet_length(${event}.${column}::text) END`;
  return `${bytesOf('payload')} +${bytesOf('metadata')}
      + coalesce(octet_length(${event}.binary_payload), 0)`;
};
