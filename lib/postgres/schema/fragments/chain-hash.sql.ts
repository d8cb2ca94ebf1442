/**
 * Returns an expression for the hash of an event, which covers the hash of the previous event of the
 * aggregate, or NULL if there is none, and everything that is stored of the event. The arguments are
 * SQL, too; `event` is a row.
 *
 * Every part has a fixed length, so no two events have the same bytes to hash, and no part depends on a
 * setting: numbers and times are in the binary form of the protocol, text is UTF-8, JSON is as
 * PostgreSQL writes it, which is canonical. Never add or change a part: all stored hashes would be
 * wrong. `lib/evidence/chain-hash.ts` computes the same hash.
 */
export const eventHash = (
  event: string,
  { previous, aggregate }: { readonly previous: string; readonly aggregate: string },
): string =>
  hashOf([
    orZeros(previous),
    bigint(`${event}.position`),
    `pg_catalog.uuid_send(${event}.event_id)`,
    textHash(`${aggregate}.type`),
    textHash(`${aggregate}.id`),
    bigint(`${event}.version`),
    textHash(`${event}.type`),
    integer(`${event}.revision`),
    textHash(`${event}.payload`),
    orZeros(`pg_catalog.sha256(${event}.binary_payload)`),
    textHash(`${event}.metadata`),
    `pg_catalog.timestamptz_send(${event}.recorded_at)`,
  ]);

/** Like `eventHash` for a snapshot, with the hash of the event at its version, or NULL without one. */
export const snapshotHash = (parts: {
  readonly event: string;
  readonly aggregate: string;
  readonly version: string;
  readonly revision: string;
  readonly state: string;
  readonly binary: string;
}): string =>
  hashOf([
    orZeros(parts.event),
    textHash(`${parts.aggregate}.type`),
    textHash(`${parts.aggregate}.id`),
    bigint(parts.version),
    integer(parts.revision),
    textHash(parts.state),
    orZeros(`pg_catalog.sha256(${parts.binary})`),
  ]);

// Every name has its schema: the application sends this SQL, too, with any search_path.
const hashOf = (parts: readonly string[]): string => `pg_catalog.sha256(
    ${parts.join('\n    OPERATOR(pg_catalog.||) ')}
  )`;
const textHash = (value: string): string =>
  `pg_catalog.sha256(pg_catalog.convert_to(${value}::pg_catalog.text, 'UTF8'::pg_catalog.name))`;
const orZeros = (hash: string): string =>
  `coalesce(${hash}, pg_catalog.decode('${'00'.repeat(32)}'::pg_catalog.text, 'hex'::pg_catalog.text))`;
const bigint = (value: string): string => `pg_catalog.int8send(${value}::pg_catalog.int8)`;
const integer = (value: string): string => `pg_catalog.int4send(${value}::pg_catalog.int4)`;
