import { appendEvent } from '../sql/append-event.ts';
import { appendEvents } from '../sql/append-events.ts';
import { changePartitions } from '../sql/change-partitions.ts';
import { createConsumers } from '../sql/create-consumers.ts';
import { createTables } from '../sql/create-tables.ts';
import { forgetConsumer } from '../sql/forget-consumer.ts';
import { hashEvents } from '../sql/hash-events.ts';
import { holdCheckpoints } from '../sql/hold-checkpoints.ts';
import { protectEvents } from '../sql/protect-events.ts';
import { readAggregatePage } from '../sql/read-aggregate-page.ts';
import { readLog } from '../sql/read-log.ts';
import { registerConsumer } from '../sql/register-consumer.ts';
import { removeEvents } from '../sql/remove-events.ts';
import { schemaVersion } from '../sql/schema-version.ts';
import { revokeOwnersRights } from '../sql/with-owners-rights.ts';

type Statements = readonly ((schema: string) => string)[];

const createEventStore: Statements = [
  createTables,
  protectEvents,
  appendEvents,
  appendEvent,
  removeEvents,
  readLog,
  readAggregatePage,
  hashEvents,
  revokeOwnersRights,
  (schema) => schemaVersion(schema, 1),
];

const createConsumersAndTheirFunctions: Statements = [
  createConsumers,
  registerConsumer,
  changePartitions,
  holdCheckpoints,
  forgetConsumer,
  (schema) => schemaVersion(schema, 2),
];

/** What each migration sends, in order. */
export const migrationStatements: readonly Statements[] = [
  createEventStore,
  createConsumersAndTheirFunctions,
];
