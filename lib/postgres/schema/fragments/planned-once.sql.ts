/**
 * Clauses of a function whose statements are planned once per connection, while the tables may still be
 * empty: they must never scan them.
 *
 * Without JIT: up to PostgreSQL 17, what forbids one plan makes the others look dear enough to be
 * compiled first.
 */
export const plannedOnce = `SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off`;
