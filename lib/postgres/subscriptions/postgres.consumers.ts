import type { DataSource } from 'typeorm';
import type { CheckpointStore } from '../../subscriptions/checkpoint-store.ts';
import type { ConsumerRegistry } from '../../subscriptions/consumer-registry.ts';
import type { Signals } from '../../subscriptions/signals.ts';
import { ControlConnection } from '../connection/control-connection.ts';
import { Database } from '../connection/database.ts';
import { PostgresCheckpointStore } from './postgres.checkpoint-store.ts';
import { PostgresConsumerRegistry } from './control/postgres.consumer-registry.ts';
import { PostgresGenerations } from './postgres.generations.ts';
import { PostgresParkedEvents } from './postgres.parked-events.ts';
import type { Generations } from '../../subscriptions/generations.ts';
import type { ParkedEvents } from '../../subscriptions/parked-events.ts';
import { PostgresSignals } from './postgres.signals.ts';

export interface PostgresConsumersOptions {
  readonly schema: string;
  readonly preparedStatements: boolean;
  /** Whether to receive signals, which needs a session of its own; signals are sent in any case. */
  readonly listen: boolean;
}

/** The parts of PostgreSQL that consumers need. */
export interface PostgresConsumers {
  readonly checkpoints: CheckpointStore;
  readonly parkedEvents: ParkedEvents;
  readonly generations: Generations;
  readonly registry: ConsumerRegistry;
  readonly signals: Signals;
}

/** Makes these parts for a schema; nothing connects before it is used. */
export function postgresConsumers(
  dataSource: DataSource,
  options: PostgresConsumersOptions,
): PostgresConsumers {
  const { schema } = options;
  const database = new Database(dataSource, options);
  const connection: ControlConnection = new ControlConnection(database, (client) =>
    signals.subscribe(client),
  );
  const signals = new PostgresSignals(database, connection, options);
  return {
    checkpoints: new PostgresCheckpointStore(database, connection, schema),
    parkedEvents: new PostgresParkedEvents(database, schema),
    generations: new PostgresGenerations(database, schema),
    registry: new PostgresConsumerRegistry(database, schema),
    signals,
  };
}
