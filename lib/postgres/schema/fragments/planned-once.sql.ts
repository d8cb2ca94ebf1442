/**
 * Clauses for a function whose statements are planned once per connection, perhaps while the tables are
 * still empty: the plans must never scan whole tables.
 *
 * JIT is off: up to PostgreSQL 17, disabling one plan makes the others look expensive enough to be
 * compiled first.
 */
export const plannedOnce = `SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off`;
