import { snapshotHash } from '../../schema/fragments/chain-hash.sql.ts';

/** Reads a snapshot: $1 type, $2 id. No row for an unknown aggregate or one without a snapshot. */
export const readSnapshot = (schema: string): string => `
SELECT g.snapshot_version, g.snapshot_revision, g.snapshot_state, g.snapshot_binary
FROM "${schema}".aggregates AS g
WHERE g.type = $1 AND g.id = $2 AND g.snapshot_version IS NOT NULL`;

/**
 * Writes a snapshot: $1 type, $2 id, $3 version, $4 revision, $5 state, $6 binary. Returns the
 * aggregate's version if the aggregate is known. Nothing is stored if the snapshot is ahead of the
 * aggregate or older than the stored one.
 *
 * The statement computes the hash itself: a trigger would also hash changes made by hand. The
 * rows of a FROM clause are evaluated before the aggregate is locked.
 */
export const writeSnapshot = (schema: string, from = ''): string => `
WITH written AS (
  UPDATE "${schema}".aggregates AS g
  SET snapshot_version = $3::bigint, snapshot_revision = $4::integer,
    snapshot_state = $5::pg_catalog.jsonb, snapshot_binary = $6::pg_catalog.bytea,
    snapshot_taken_at = clock_timestamp(), snapshot_hash = ${snapshotHash({
      event: `(
        SELECT e.hash FROM "${schema}".domain_events AS e
        WHERE e.aggregate_key = g.key AND e.version = $3
      )`,
      aggregate: 'g',
      version: '$3',
      revision: '$4',
      state: '$5::pg_catalog.jsonb',
      binary: '$6::pg_catalog.bytea',
    })}
  ${from}
  WHERE g.type = $1 AND g.id = $2
    AND g.version >= $3 AND g.removed_version < $3
    AND (g.snapshot_version IS NULL OR g.snapshot_version <= $3)
  RETURNING g.version
)
SELECT version FROM written
UNION ALL
SELECT g.version FROM "${schema}".aggregates AS g
WHERE g.type = $1 AND g.id = $2 AND NOT EXISTS (SELECT FROM written)`;
