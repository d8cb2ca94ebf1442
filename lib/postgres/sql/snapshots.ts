/** $1 type, $2 id. No row for an unknown aggregate or one without a snapshot. */
export const readSnapshot = (schema: string): string => `
SELECT g.snapshot_version, g.snapshot_revision, g.snapshot_state, g.snapshot_binary
FROM "${schema}".aggregates AS g
WHERE g.type = $1 AND g.id = $2 AND g.snapshot_version IS NOT NULL`;

/**
 * $1 type, $2 id, $3 version, $4 revision, $5 state, $6 binary. Answers the aggregate's version if
 * the aggregate is known; nothing is kept if the snapshot is ahead of it or older than the kept one.
 */
export const writeSnapshot = (schema: string): string => `
WITH written AS (
  UPDATE "${schema}".aggregates AS g
  SET snapshot_version = $3, snapshot_revision = $4, snapshot_state = $5, snapshot_binary = $6,
    snapshot_taken_at = clock_timestamp()
  WHERE g.type = $1 AND g.id = $2
    AND g.version >= $3 AND g.removed_version < $3
    AND (g.snapshot_version IS NULL OR g.snapshot_version <= $3)
  RETURNING g.version
)
SELECT version FROM written
UNION ALL
SELECT g.version FROM "${schema}".aggregates AS g
WHERE g.type = $1 AND g.id = $2 AND NOT EXISTS (SELECT FROM written)`;
