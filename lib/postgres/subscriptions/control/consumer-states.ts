import type { ConsumerKind } from '../../../subscriptions/consumer.ts';
import type { ConsumerState, PartitionState } from '../../../subscriptions/consumer-state.ts';
import { type ConsumerStatus, worstStatus } from '../../../subscriptions/consumer-status.ts';
import { timeOf } from '../../schema/fragments/microseconds.sql.ts';

/** One partition of one generation, with the fields of its consumer's row. */
export interface CheckpointRow {
  name: string;
  kind: ConsumerKind;
  generation_in_use: number;
  next_generation: number | null;
  paused: boolean;
  parked: number;
  generation: number;
  partition: number;
  position: number;
  owner: string | null;
  events_per_second: number;
  error: string | null;
  error_position: number | null;
  failures: number;
  failed_at: number | null;
  status: ConsumerStatus;
  last: number;
  lag_ms: number | null;
}

/** Returns the states of consumers, from the rows of all their partitions. */
export function toStates(rows: readonly CheckpointRow[]): readonly ConsumerState[] {
  const byName = new Map<string, CheckpointRow[]>();
  for (const row of rows) byName.set(row.name, [...(byName.get(row.name) ?? []), row]);
  return [...byName.values()].map(toState);
}

function toState(rows: readonly CheckpointRow[]): ConsumerState {
  const { name, kind, paused, parked, generation_in_use, next_generation, last } = rows[0]!;
  const isInline = kind === 'inline-projection';
  const partitions = rows.map((row) =>
    isInline && row.generation === generation_in_use ? inlineState(row) : toPartition(row),
  );
  const shown = Math.max(1, generation_in_use);
  const inUse = partitions.filter(({ generation }) => generation === shown);
  const next = rows.filter(({ generation }) => generation === next_generation);
  const position = Math.min(...inUse.map((each) => each.position));
  return {
    name,
    kind,
    generation: generation_in_use,
    paused,
    status: worstStatus(inUse.map((each) => each.status)),
    position,
    lagEvents: Math.max(...inUse.map((each) => each.lagEvents)),
    lagMs: Math.max(...inUse.map((each) => each.lagMs)),
    partitions,
    rebuild: next.length > 0 ? toRebuild(next, isInline ? last : Math.min(last, position)) : null,
    parkedEvents: parked,
  };
}

function toPartition(row: CheckpointRow): PartitionState {
  const { generation, partition, status, owner, position, events_per_second, last, lag_ms } = row;
  return {
    generation,
    partition,
    status,
    owner,
    position,
    lagEvents: lag_ms === null ? 0 : last - position,
    lagMs: lag_ms === null ? 0 : Math.round(lag_ms),
    eventsPerSecond: Math.round(events_per_second),
    error:
      row.error === null
        ? null
        : {
            message: row.error,
            position: row.error_position,
            failures: row.failures,
            at: timeOf(row.failed_at!),
          },
  };
}

/** An inline projection runs inside the appends, so it is always at the end of the log. */
const inlineState = (row: CheckpointRow): PartitionState => ({
  ...toPartition(row),
  status: 'live',
  position: row.last,
  lagEvents: 0,
  lagMs: 0,
});

function toRebuild(rows: readonly CheckpointRow[], target: number): ConsumerState['rebuild'] {
  const position = Math.min(...rows.map((row) => row.position));
  const slowest = Math.min(...rows.map((row) => row.events_per_second));
  const remaining = Math.max(0, target - position);
  return {
    generation: rows[0]!.generation,
    position,
    target,
    progress: target === 0 ? 1 : Math.min(1, position / target),
    remainingMs: slowest > 0 ? Math.round((remaining / slowest) * 1_000) : null,
  };
}
