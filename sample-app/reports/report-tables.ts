/**
 * The tables in which one generation of the report is counted, and the view that all queries read.
 *
 * A rebuild fills its own tables, so the view shows the old tables until it is switched to the new
 * ones.
 */
export const createReportTables = (generation: number): string => `
CREATE TABLE report_applications_${generation} (
  application_id text PRIMARY KEY,
  amount bigint NOT NULL,
  submitted_at timestamptz NOT NULL,
  approved_at timestamptz
);
CREATE TABLE report_events_${generation} (
  type text PRIMARY KEY,
  events bigint NOT NULL,
  -- What the applications that these events happened to had asked for, in sum.
  amount bigint NOT NULL,
  last_position bigint NOT NULL
)`;

/** Also drops the view, if it still shows these tables. */
export const dropReportTables = (generation: number): string =>
  `DROP TABLE report_applications_${generation}, report_events_${generation} CASCADE`;

/** Drops the view and creates it again, because a replaced view could not change its columns. */
export const showReportTables = (generation: number): string => `
DROP VIEW IF EXISTS application_report;
CREATE VIEW application_report AS
SELECT e.position, a.applications, a."amountRequested", e.events, e."eventsByType",
  e."statesReached", a."meanHoursToApproval"
FROM (
  SELECT
    coalesce(max(last_position), 0)::float8 AS position,
    coalesce(sum(events), 0)::float8 AS events,
    coalesce(json_object_agg(type, events ORDER BY events DESC, type), '{}') AS "eventsByType",
    coalesce(
      json_object_agg(
        substr(type, length('loan-application.') + 1),
        json_build_object('applications', events, 'amount', amount)
        ORDER BY events DESC, type
      ) FILTER (WHERE type LIKE 'loan-application.%'),
      '{}'
    ) AS "statesReached"
  FROM report_events_${generation}
) AS e, (
  SELECT
    count(*)::float8 AS applications,
    coalesce(sum(amount), 0)::float8 AS "amountRequested",
    avg(extract(epoch FROM approved_at - submitted_at) / 3600)::float8 AS "meanHoursToApproval"
  FROM report_applications_${generation}
) AS a`;

export const insertApplications = (generation: number): string => `
INSERT INTO report_applications_${generation} (application_id, amount, submitted_at)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::timestamptz[])`;

export const approveApplications = (generation: number): string => `
UPDATE report_applications_${generation} AS a
SET approved_at = n.approved_at
FROM unnest($1::text[], $2::timestamptz[]) AS n (application_id, approved_at)
WHERE a.application_id = n.application_id`;

export const countEvents = (generation: number): string => `
INSERT INTO report_events_${generation} AS counted (type, events, amount, last_position)
SELECT n.type, count(*), sum(a.amount), max(n.position)
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS n (type, application_id, position)
JOIN report_applications_${generation} AS a ON a.application_id = n.application_id
GROUP BY n.type
ON CONFLICT (type) DO UPDATE SET
  events = counted.events + EXCLUDED.events,
  amount = counted.amount + EXCLUDED.amount,
  last_position = EXCLUDED.last_position`;
