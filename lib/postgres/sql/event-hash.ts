/**
 * An expression for the hash of an event: of the hash before it in its aggregate, or NULL if there is
 * none, and of everything that is stored of it. The arguments are SQL too; `event` is a row.
 *
 * One expression, sent by whoever verifies, so that no function of the schema has to be believed. Every
 * part has a fixed length, so that no two events are hashed as the same bytes, and none depends on a
 * setting: numbers and times in the binary form of the protocol, text as UTF-8, JSON as PostgreSQL
 * writes it, which is canonical. New parts may never be added: all stored hashes would be wrong.
 */
export const eventHash = (
  event: string,
  { previous, aggregate }: { readonly previous: string; readonly aggregate: string },
): string => `sha256(
    ${orZeros(previous)}
    || int8send(${event}.position) || uuid_send(${event}.event_id)
    || ${textHash(`${aggregate}.type`)} || ${textHash(`${aggregate}.id`)}
    || int8send(${event}.version)
    || ${textHash(`${event}.type`)} || int4send(${event}.revision)
    || ${textHash(`${event}.payload`)} || ${orZeros(`sha256(${event}.binary_payload)`)}
    || ${textHash(`${event}.metadata`)} || timestamptz_send(${event}.recorded_at)
  )`;

const textHash = (value: string): string => `sha256(convert_to(${value}::text, 'UTF8'))`;
const orZeros = (hash: string): string => `coalesce(${hash}, decode(repeat('00', 32), 'hex'))`;
