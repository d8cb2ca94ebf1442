import { isCoveredBy } from '../../../lib/subscriptions/partition-positions.ts';
import { partitionOf } from '../../../lib/subscriptions/partitions.ts';
import type { HistoryFinding } from '../history/history.ts';
import { ledgerConsumers, type LedgerConsumer } from './ledger.events.ts';
import type { CheckpointRow, LedgerHistory, LoggedEvent, Tally } from './ledger.history.ts';

/**
 * Returns what is wrong with a history, whenever it was read; an empty list if nothing is.
 *
 * Each generation of a projection must be the fold of the log up to its checkpoint: every event once,
 * in the order of its aggregate. Handlers may have done more than their checkpoint says, and more than
 * once, but never less, and never an event before its predecessor.
 */
export function findingsOf(history: LedgerHistory): HistoryFinding[] {
  return ledgerConsumers.flatMap((consumer) => {
    const generations = new Set([
      ...of(consumer, history.effects).map(({ generation }) => generation),
      ...of(consumer, history.checkpoints).map(({ generation }) => generation),
    ]);
    return [
      ...[...generations].flatMap((generation) =>
        findingsOfGeneration(consumer, generation, history),
      ),
      ...findingsOfReplays(consumer, history),
      ...findingsOfHooks(consumer, history),
    ];
  });
}

const of = <T extends { readonly consumer: string }>(
  { name }: LedgerConsumer,
  rows: readonly T[],
) => rows.filter(({ consumer }) => consumer === name);

function findingsOfGeneration(
  consumer: LedgerConsumer,
  generation: number,
  { log, checkpoints, effects, tallies }: LedgerHistory,
): HistoryFinding[] {
  const inGeneration = (row: { readonly generation: number }) => row.generation === generation;
  const findings: HistoryFinding[] = [];
  const finding = (kind: string, what: string) =>
    findings.push({ kind, detail: `${consumer.name}/${generation}: ${what}` });
  const taken = new Map(
    log.filter((event) => isTaken(consumer, event)).map((event) => [event.id, event]),
  );
  const done = of(consumer, effects).filter(inGeneration);
  const rows = of(consumer, checkpoints).filter(inGeneration);

  const counts = new Map<string, number>();
  const lastPositions = new Map<string, number>();
  for (const { eventId } of done) {
    const event = taken.get(eventId);
    if (!event) {
      finding('unaccounted', `handled ${eventId}, which is not in the log or not for it`);
      continue;
    }
    const isAgain = counts.has(eventId);
    counts.set(eventId, (counts.get(eventId) ?? 0) + 1);
    const last = lastPositions.get(aggregateOf(event)) ?? 0;
    if (event.position > last) lastPositions.set(aggregateOf(event), event.position);
    else if (consumer.isProjection || !isAgain) {
      finding('turned-round', `position ${event.position} came after ${last}`);
    }
  }

  // The events of one aggregate come without a gap, wherever their checkpoint is.
  for (const event of taken.values()) {
    const count = counts.get(event.id) ?? 0;
    if (consumer.isProjection && count > 1) {
      finding('counted-twice', `position ${event.position} counts ${count} times`);
    }
    if (count === 0 && event.position < (lastPositions.get(aggregateOf(event)) ?? 0)) {
      finding('skipped', `position ${event.position} was skipped`);
    }
    if (rows.length === 0) continue;
    const isFinished = isBehind(event, rows, consumer);
    if (isFinished && count === 0) finding('lost', `position ${event.position} is missing`);
    if (!isFinished && count > 0 && consumer.isProjection) {
      finding('ahead', `position ${event.position} is ahead of the checkpoint`);
    }
  }
  if (consumer.isProjection && consumer.name !== 'journal') {
    const counted = of(consumer, tallies).filter(inGeneration);
    findings.push(
      ...findingsOfTallies(
        `${consumer.name}/${generation}`,
        done.flatMap(({ eventId }) => taken.get(eventId) ?? []),
        counted,
      ),
    );
  }
  return findings;
}

function findingsOfTallies(
  where: string,
  handled: readonly LoggedEvent[],
  tallies: readonly Tally[],
): HistoryFinding[] {
  const miscounted = (what: string): HistoryFinding => ({
    kind: 'miscounted',
    detail: `${where}: ${what}`,
  });
  const wanted = new Map<string, { events: number; amount: number }>();
  for (const event of handled) {
    const { events, amount } = wanted.get(aggregateOf(event)) ?? { events: 0, amount: 0 };
    wanted.set(aggregateOf(event), { events: events + 1, amount: amount + event.amount });
  }
  const findings = tallies.flatMap(({ aggregate, events, amount }) => {
    const want = wanted.get(aggregate);
    if (want?.events === events && want.amount === amount) return [];
    const said = `${aggregate} counts ${events} events of ${amount}`;
    return [miscounted(`${said}, not ${JSON.stringify(want)}`)];
  });
  if (tallies.length !== wanted.size) {
    findings.push(miscounted(`counts ${tallies.length} aggregates, not ${wanted.size}`));
  }
  return findings;
}

/** No event is marked as replayed that was not handled before. */
function findingsOfReplays(consumer: LedgerConsumer, { effects }: LedgerHistory): HistoryFinding[] {
  if (consumer.isProjection) return [];
  const inEarnest = new Set<string>();
  return of(consumer, effects).flatMap(({ eventId, replayed, generation }) => {
    if (!replayed) inEarnest.add(eventId);
    if (inEarnest.has(eventId)) return [];
    const detail = `${consumer.name}/${generation}: ${eventId} came as replayed the first time`;
    return [{ kind: 'misreplayed', detail }];
  });
}

/** Hooks commit with their record: each generation is made, put in use and removed at most once. */
function findingsOfHooks(
  consumer: LedgerConsumer,
  { hooks, checkpoints }: LedgerHistory,
): HistoryFinding[] {
  const finding = (what: string): HistoryFinding => ({
    kind: 'hooks',
    detail: `${consumer.name}: ${what}`,
  });
  const called = of(consumer, hooks).map(({ hook, generation }) => `${hook} ${generation}`);
  const findings = called
    .filter((each, n) => called.indexOf(each) < n)
    .map((each) => finding(`${each} was done again`));
  const inUse = of(consumer, checkpoints).find((each) => each.inUse)?.generation;
  const lastActivated = called.findLast((each) => each.startsWith('activate'));
  if (lastActivated && lastActivated !== `activate ${inUse}`) {
    findings.push(finding(`${lastActivated} was done last, but ${inUse} is in use`));
  }
  return findings;
}

function isBehind(
  event: LoggedEvent,
  rows: readonly CheckpointRow[],
  { isInline }: LedgerConsumer,
): boolean {
  // An inline projection in use goes with the log itself.
  if (isInline && rows[0]!.inUse) return true;
  const aggregate = { type: event.aggregateType, id: event.aggregateId };
  const row = rows[partitionOf(aggregate, rows.length)]!;
  return (
    event.position <= row.position ||
    isCoveredBy({ aggregate, position: event.position }, row.finished)
  );
}

const isTaken = (consumer: LedgerConsumer, { type, aggregateType }: LoggedEvent): boolean =>
  consumer.types.includes(type) && consumer.aggregateTypes.includes(aggregateType);

const aggregateOf = ({ aggregateType, aggregateId }: LoggedEvent): string =>
  `${aggregateType}/${aggregateId}`;
