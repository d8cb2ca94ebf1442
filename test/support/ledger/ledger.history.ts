import type { DataSource } from 'typeorm';
import type { PartitionPositions } from '../../../lib/subscriptions/partition-positions.ts';

export interface LoggedEvent {
  readonly id: string;
  readonly position: number;
  readonly aggregateType: string;
  readonly aggregateId: string;
  readonly version: number;
  readonly type: string;
  readonly amount: number;
}

export interface Effect {
  readonly consumer: string;
  readonly generation: number;
  readonly eventId: string;
  readonly replayed: boolean;
  readonly process: number;
}

export interface Tally {
  readonly consumer: string;
  readonly generation: number;
  readonly aggregate: string;
  readonly events: number;
  readonly amount: number;
}

export interface CheckpointRow {
  readonly consumer: string;
  readonly generation: number;
  readonly partition: number;
  readonly position: number;
  readonly finished: readonly PartitionPositions[];
  readonly inUse: boolean;
}

export interface HookCall {
  readonly consumer: string;
  readonly generation: number;
  readonly hook: string;
}

/** The log, the checkpoints of all consumers, and what the consumers have done, all at one moment. */
export interface LedgerHistory {
  readonly log: readonly LoggedEvent[];
  readonly checkpoints: readonly CheckpointRow[];
  /** In the order in which they were written. */
  readonly effects: readonly Effect[];
  readonly tallies: readonly Tally[];
  /** What the hooks of projections have written, in order. */
  readonly hooks: readonly HookCall[];
}

/** Reads the history from one snapshot of the database. */
export function readHistory(dataSource: DataSource): Promise<LedgerHistory> {
  return dataSource.transaction('REPEATABLE READ', async (manager) => ({
    log: await manager.query(`
      SELECT e.event_id AS id, e.position::float8, g.type AS "aggregateType", g.id AS "aggregateId",
        e.version::float8, e.type, (e.payload ->> 'amount')::float8 AS amount
      FROM event_store.domain_events AS e
      JOIN event_store.aggregates AS g ON g.key = e.aggregate_key
      ORDER BY e.position`),
    checkpoints: await manager.query(`
      SELECT k.consumer, k.generation, k.partition, k.position::float8, k.finished,
        c.generation = k.generation AS "inUse"
      FROM event_store.checkpoints AS k
      JOIN event_store.consumers AS c ON c.name = k.consumer
      ORDER BY k.consumer, k.generation, k.partition`),
    effects: await manager.query(`
      SELECT consumer, generation, event_id AS "eventId", replayed, process
      FROM ledger.effects ORDER BY n`),
    tallies: await manager.query(`
      SELECT consumer, generation, aggregate, events, amount FROM ledger.tallies`),
    hooks: await manager.query(`
      SELECT consumer, generation, hook FROM ledger.generations ORDER BY n`),
  }));
}

/** How often events were handled again, which handlers have to expect. */
export function repetitions({ effects }: LedgerHistory, consumer: string): number {
  const inEarnest = effects.filter((each) => each.consumer === consumer && !each.replayed);
  return inEarnest.length - new Set(inEarnest.map(({ eventId }) => eventId)).size;
}
