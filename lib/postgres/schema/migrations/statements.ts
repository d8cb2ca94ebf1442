import { appendEvent } from '../functions/append-event.sql.ts';
import { appendEvents } from '../functions/append-events.sql.ts';
import { changePartitions } from '../functions/change-partitions.sql.ts';
import { createConsumers } from '../tables/create-consumers.sql.ts';
import { createTables } from '../tables/create-tables.sql.ts';
import { forgetConsumer } from '../functions/forget-consumer.sql.ts';
import { hashEvents } from '../tables/hash-events.sql.ts';
import { holdCheckpoints } from '../functions/hold-checkpoints.sql.ts';
import { protectEvents } from '../tables/protect-events.sql.ts';
import { readAggregatePage } from '../functions/read-aggregate-page.sql.ts';
import { readLog } from '../functions/read-log.sql.ts';
import { registerConsumer } from '../functions/register-consumer.sql.ts';
import { removeEvents } from '../functions/remove-events.sql.ts';
import { schemaVersion } from '../functions/schema-version.sql.ts';
import { revokeOwnersRights } from '../fragments/with-owners-rights.sql.ts';

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
  createConsumers,
  registerConsumer,
  changePartitions,
  holdCheckpoints,
  forgetConsumer,
  revokeOwnersRights,
  (schema) => schemaVersion(schema, 1),
];

/**
 * The statements of each migration, in order.
 *
 * An existing schema has what a migration sent when it ran, and no migration runs twice. The SQL of a
 * migration must therefore never change: a test keeps its digest. To change a function, give it a new
 * file for the next migration.
 */
export const migrationStatements: readonly Statements[] = [createEventStore];
