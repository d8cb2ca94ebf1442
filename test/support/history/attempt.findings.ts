import type {
  Attempt,
  History,
  HistoryFinding,
  IntendedAppend,
  StoredEventRow,
} from './history.ts';

type Rows = ReadonlyMap<string, StoredEventRow>;

/**
 * Reports where the log contradicts the answers to appends.
 *
 * An acknowledged append is stored as answered, a refused one is not stored, and one with an unknown
 * outcome is stored whole or not at all. Nothing else is in the log.
 */
export function findingsOfAttempts({ attempts, log }: History): HistoryFinding[] {
  const rows: Rows = new Map(log.map((row) => [row.id, row]));
  const intended = new Set(attempts.flatMap(idsOf));
  // A repetition may be refused because the first attempt has stored its events.
  const storable = new Set(
    attempts.filter(({ outcome }) => outcome !== 'refused').flatMap((each) => idsOf(each)),
  );
  return [
    ...attempts.flatMap((attempt) => [
      ...findingsOfError(attempt, rows),
      ...(attempt.outcome === 'refused'
        ? findingsOfRefused(attempt, rows, storable)
        : findingsOfStored(attempt, rows)),
    ]),
    ...log
      .filter(({ id }) => !intended.has(id))
      .map(({ id, position }) => ({
        kind: 'unaccounted',
        detail: `nobody has appended ${id} at position ${position}`,
      })),
  ];
}

const idsOf = ({ appends }: Attempt): string[] =>
  appends.flatMap(({ events }) => events.map(({ id }) => id));

function findingsOfRefused(attempt: Attempt, rows: Rows, storable: Set<string>): HistoryFinding[] {
  const stored = idsOf(attempt).find((id) => rows.has(id) && !storable.has(id));
  if (stored === undefined) return [];
  const detail = `${stored} of ${attempt.by} was refused (${attempt.error?.code})`;
  return [{ kind: 'refused-but-stored', detail }];
}

function findingsOfStored(attempt: Attempt, rows: Rows): HistoryFinding[] {
  const ids = idsOf(attempt);
  const missing = ids.filter((id) => !rows.has(id));
  const isAcknowledged = attempt.outcome === 'acknowledged';
  if (missing.length === ids.length && !isAcknowledged) return [];
  if (missing.length > 0) {
    const kind = isAcknowledged ? 'lost' : 'half-stored';
    return [{ kind, detail: `${missing[0]} of ${attempt.by}, ${missing.length} of ${ids.length}` }];
  }
  return attempt.appends.flatMap((append) => findingsOfPlace(append, rows, attempt.by));
}

/** Checks that the append is stored as it was sent, in one piece, where answered, and where expected. */
function findingsOfPlace(append: IntendedAppend, rows: Rows, by: string): HistoryFinding[] {
  const { aggregate, events, expectedVersion, version, positions } = append;
  const findings: HistoryFinding[] = [];
  const stored = events.map(({ id }) => rows.get(id)!);
  const first = stored[0]?.version;
  for (const [n, row] of stored.entries()) {
    const found = `${row.id} of ${by} is at position ${row.position}, ${row.aggregate} version ${row.version}`;
    if (row.body !== events[n]!.body) {
      findings.push({ kind: 'changed', detail: `${found}, as ${row.body}` });
    }
    const answered = version === undefined ? undefined : version - events.length + 1 + n;
    const isMisplaced =
      row.aggregate !== aggregate ||
      (answered !== undefined && answered !== row.version) ||
      (positions !== undefined && positions[n] !== row.position);
    if (isMisplaced) {
      const detail = `${found}; answered were ${aggregate} version ${answered}, ${positions?.[n]}`;
      findings.push({ kind: 'misplaced', detail });
    }
    if (row.version !== first! + n) findings.push({ kind: 'torn', detail: found });
  }
  const wanted = expectedVersion === 'no_stream' ? 0 : expectedVersion;
  if (typeof wanted === 'number' && first !== undefined && first !== wanted + 1) {
    const detail = `${aggregate} took version ${first} of ${by}, who expected ${wanted}`;
    findings.push({ kind: 'expectation-ignored', detail });
  }
  return findings;
}

function findingsOfError({ by, error, appends }: Attempt, rows: Rows): HistoryFinding[] {
  if (!error) return [];
  const said = `${by} got ${error.name}: ${error.message}`;
  if (!error.isTyped) return [{ kind: 'untyped-error', detail: said }];
  if (error.code !== 'WRONG_EXPECTED_VERSION') return [];
  const isOwn = appends.some(({ events }) => events.some(({ id }) => rows.has(id)));
  const isMet = appends.some(({ expectedVersion }) => expectedVersion === error.actualVersion);
  return isOwn || (isMet && appends.length === 1) ? [{ kind: 'false-conflict', detail: said }] : [];
}
