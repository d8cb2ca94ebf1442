/** The expressions for an event by which a reader recognizes the log. */
export interface LogMarkExpressions {
  readonly position: string;
  readonly id: string;
  readonly aggregateType: string;
  readonly aggregateId: string;
  readonly version: string;
}

/** Whether the log still holds an event, or held it until `removeEvents` removed it. */
export const isMarkThere = (schema: string, mark: LogMarkExpressions): string => `(
    EXISTS (
      SELECT FROM "${schema}".domain_events AS m
      WHERE m.position = ${mark.position} AND m.event_id = ${mark.id}
    ) OR EXISTS (
      SELECT FROM "${schema}".aggregates AS r
      WHERE r.id = ${mark.aggregateId} AND r.type = ${mark.aggregateType}
        AND r.removed_version >= ${mark.version}
    )
  )`;

/** $1 position, $2 id, $3 and $4 type and id of the aggregate, $5 version. */
export const holdsMark = (schema: string): string => `
SELECT ${isMarkThere(schema, {
  position: '$1',
  id: '$2',
  aggregateType: '$3',
  aggregateId: '$4',
  version: '$5',
})} AS holds`;
