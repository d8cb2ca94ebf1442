import { unprintableName } from './printable-name.sql.ts';

/**
 * Creates the tables of consumers: their names, their progress, and the events that they have set
 * aside.
 */
export const createConsumers = (schema: string): string => `
CREATE TABLE "${schema}".consumers (
  name text COLLATE "C" CONSTRAINT consumers_pkey PRIMARY KEY
    CONSTRAINT consumers_name_length CHECK (octet_length(name) BETWEEN 1 AND 255)
    CONSTRAINT consumers_name_printable CHECK (name !~ ${unprintableName}),
  kind text NOT NULL
    CONSTRAINT consumers_kind_known CHECK (kind IN ('projection', 'inline-projection', 'handler', 'saga')),
  -- How many it is to have, by the last registration.
  partitions integer NOT NULL CONSTRAINT consumers_partitions_range CHECK (partitions >= 1),
  -- The generation in use; 0 while an inline projection is built for the first time.
  generation integer NOT NULL CONSTRAINT consumers_generation_range CHECK (generation >= 0),
  -- The one that is being built to replace it.
  next_generation integer
    CONSTRAINT consumers_next_generation_above CHECK (next_generation > generation),
  -- The last one whose read model was made.
  prepared_generation integer NOT NULL DEFAULT 0,
  events_per_second integer
    CONSTRAINT consumers_events_per_second_range CHECK (events_per_second >= 1),
  paused boolean NOT NULL DEFAULT false
);

CREATE TABLE "${schema}".checkpoints (
  consumer text COLLATE "C" CONSTRAINT checkpoints_consumer_fkey
    REFERENCES "${schema}".consumers (name) ON DELETE CASCADE,
  generation integer,
  partition integer CONSTRAINT checkpoints_partition_range CHECK (partition >= 0),
  position bigint NOT NULL CONSTRAINT checkpoints_position_range CHECK (position >= 0),
  -- The last event of the log up to the position, by which a log that was exchanged is recognised.
  event_position bigint,
  event_id uuid,
  event_aggregate_key bigint,
  event_version bigint,
  -- Lists of {"positions": [...]}: how far the partitions of an earlier time had come.
  finished jsonb NOT NULL DEFAULT '[]',
  replayed jsonb NOT NULL DEFAULT '[]',
  status text NOT NULL DEFAULT 'waiting'
    CONSTRAINT checkpoints_status_known CHECK (
      -- 'paused' is said of the consumer as a whole.
      status IN ('waiting', 'catching-up', 'live', 'retrying', 'stopped', 'replaced')
    ),
  -- The process that holds it, for as long as that one's lease lasts.
  owner text COLLATE "C",
  fence bigint NOT NULL DEFAULT 0,
  -- How many owners in a row were lost without getting any further.
  takeovers integer NOT NULL DEFAULT 0,
  events_per_second double precision NOT NULL DEFAULT 0,
  error text,
  error_position bigint,
  -- The event there, by which a log that was exchanged is recognised.
  error_event_id uuid,
  failures integer NOT NULL DEFAULT 0,
  failed_at timestamptz,
  CONSTRAINT checkpoints_pkey PRIMARY KEY (consumer, generation, partition)
) WITH (fillfactor = 50);

CREATE TABLE "${schema}".parked_events (
  consumer text COLLATE "C" CONSTRAINT parked_events_consumer_fkey
    REFERENCES "${schema}".consumers (name) ON DELETE CASCADE,
  generation integer,
  position bigint,
  event_id uuid NOT NULL,
  aggregate_type text COLLATE "C" NOT NULL,
  aggregate_id text COLLATE "C" NOT NULL,
  -- Set for an event that has failed; its followers have not been tried.
  error text,
  failures integer NOT NULL DEFAULT 0,
  failed_at timestamptz,
  retrying boolean NOT NULL DEFAULT false,
  CONSTRAINT parked_events_pkey PRIMARY KEY (consumer, generation, position)
);
CREATE INDEX parked_events_aggregate
  ON "${schema}".parked_events (consumer, generation, aggregate_type, aggregate_id, position);
-- Asked for with every renewal of a lease, and few or none of many.
CREATE INDEX parked_events_retrying
  ON "${schema}".parked_events (consumer, generation, aggregate_type, aggregate_id, position)
  WHERE retrying;

-- The tables that the hooks of projections have made, so that the loss of one is noticed.
CREATE TABLE "${schema}".read_model_tables (
  id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT read_model_tables_pkey PRIMARY KEY,
  consumer text COLLATE "C" NOT NULL CONSTRAINT read_model_tables_consumer_fkey
    REFERENCES "${schema}".consumers (name) ON DELETE CASCADE,
  generation integer NOT NULL,
  table_oid oid NOT NULL,
  table_schema text COLLATE "C" NOT NULL,
  table_name text COLLATE "C" NOT NULL,
  -- The transaction that has written the row, unless a dump was restored since.
  recorded_in xid NOT NULL
);
CREATE INDEX read_model_tables_generation
  ON "${schema}".read_model_tables (consumer, generation, id);

-- The events that a consumer has given up for good. They outlive it, so they do not refer to it.
CREATE TABLE "${schema}".skipped_events (
  id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT skipped_events_pkey PRIMARY KEY,
  consumer text COLLATE "C" NOT NULL,
  generation integer NOT NULL,
  position bigint NOT NULL,
  event_id uuid NOT NULL,
  aggregate_type text COLLATE "C" NOT NULL,
  aggregate_id text COLLATE "C" NOT NULL,
  cause text NOT NULL
    CONSTRAINT skipped_events_cause_known CHECK (cause IN ('policy', 'skip', 'discard', 'forget')),
  reason text NOT NULL,
  -- NULL for one that was parked after another and never tried.
  error text,
  failures integer NOT NULL,
  skipped_by text NOT NULL,
  skipped_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX skipped_events_consumer ON "${schema}".skipped_events (consumer, id);

-- The lease of each process, and what it runs, so that each takes its fair share of the partitions.
CREATE TABLE "${schema}".consumer_processes (
  owner text COLLATE "C" CONSTRAINT consumer_processes_pkey PRIMARY KEY,
  consumers text[] COLLATE "C" NOT NULL,
  -- False while it prepares read models, when it cannot take a share yet.
  is_running boolean NOT NULL,
  lease_ms integer NOT NULL CONSTRAINT consumer_processes_lease_range CHECK (lease_ms >= 1),
  lease_expires_at timestamptz NOT NULL
) WITH (fillfactor = 50);
`;
