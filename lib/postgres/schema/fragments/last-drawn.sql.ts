/**
 * Selects the last number that a sequence has drawn, by default that of positions. It is 0 before the
 * first number, when `last_value` is already 1.
 */
export const lastDrawn = (schema: string, sequence = 'positions'): string =>
  `SELECT CASE WHEN s.is_called THEN s.last_value ELSE 0 END FROM "${schema}".${sequence} AS s`;
