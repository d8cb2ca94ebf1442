/**
 * The last number that a sequence has drawn, the one of positions unless told otherwise; 0 before the first,
 * when `last_value` is 1 already.
 */
export const lastDrawn = (schema: string, sequence = 'positions'): string =>
  `SELECT CASE WHEN s.is_called THEN s.last_value ELSE 0 END FROM "${schema}".${sequence} AS s`;
