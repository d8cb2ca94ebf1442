import type { EntityManager } from 'typeorm';
import type { AppendResult } from '../../../store/appending/append.ts';
import { duplicateError, placesByKey } from '../../../store/appending/event-places.ts';
import type { PreparedAppend } from '../../../store/appending/prepared-append.ts';
import {
  DuplicateEventError,
  WrongExpectedVersionError,
} from '../../../store/appending/append.errors.ts';
import { DurabilityUncertainError } from '../../connection/errors/database.errors.ts';
import { timeOf } from '../../schema/fragments/microseconds.sql.ts';
import type { EventReader } from '../reading/event-reader.ts';
import type { AppendOutcome } from './append-call.ts';

/** Turns the answers of the database into the results and errors of appends. */
export class AppendResults {
  constructor(private readonly reader: EventReader) {}

  /** Returns the result of an append whose events were written; undefined if more must be read first. */
  written(append: PreparedAppend, outcome: AppendOutcome): AppendResult | undefined {
    if (outcome.outcome !== 'ok' || append.events.length === 0) return undefined;
    return append.written(outcome.version, outcome.positions, timeOf(outcome.recorded_at));
  }

  /** Returns the result of one append. @throws what `refuse` throws if it was not written. */
  async of(
    append: PreparedAppend,
    outcome: AppendOutcome,
    manager?: EntityManager,
  ): Promise<AppendResult> {
    const written = this.written(append, outcome);
    if (written) return written;
    const byKey = append.idAt && (await this.byKey(append, outcome, manager));
    if (byKey) return byKey;
    if (outcome.outcome === 'duplicate') return this.#firstResult(append, outcome, manager);
    if (outcome.outcome !== 'ok') await this.refuse([append], [outcome], manager);
    const { version } = outcome;
    const { base } = await this.reader.aggregate(append.aggregate, version, 0, manager);
    return { version, position: base?.position ?? 0, records: [], duplicate: false };
  }

  /** Returns the result of a repeated append, as of its first call. Removed events have no records. */
  async #firstResult(
    append: PreparedAppend,
    { version, positions }: AppendOutcome,
    manager?: EntityManager,
  ): Promise<AppendResult> {
    const count = append.events.length;
    const { aggregate } = append;
    const { events } = await this.reader.aggregate(aggregate, version - count, count, manager);
    const stored = events.filter((event) => event.version <= version);
    return append.repeated(version, positions.at(-1) ?? 0, stored);
  }

  /**
   * Returns the result of the first append with the same idempotency key; undefined if this is the
   * first.
   */
  async byKey(
    append: PreparedAppend,
    { outcome }: AppendOutcome,
    manager?: EntityManager,
  ): Promise<AppendResult | undefined> {
    const { aggregate, events: given, idAt } = append;
    const mayBeStored =
      outcome === 'duplicate' || outcome === 'corrupt_duplicate' || given.length === 0;
    if (!idAt || !mayBeStored) return undefined;
    const places = await placesByKey(idAt, given.length, (ids) => this.reader.places(ids, manager));
    const last = places.at(-1);
    if (!last) return undefined;
    const { events } = await this.reader.aggregate(
      aggregate,
      places[0]!.version - 1,
      places.length,
      manager,
    );
    const stored = events.filter(({ version }) => version <= last.version);
    return append.repeated(last.version, last.position, stored);
  }

  /** Throws the error for the caller if an append was not written, or not for certain. */
  async refuse(
    appends: readonly PreparedAppend[],
    outcomes: readonly AppendOutcome[],
    manager?: EntityManager,
  ): Promise<void> {
    const uncertain = appends.filter((_, index) => outcomes[index]!.outcome === 'uncertain');
    if (uncertain.length > 0) {
      throw new DurabilityUncertainError(uncertain.map(({ aggregate }) => aggregate));
    }
    for (const [index, append] of appends.entries()) {
      const { outcome, version } = outcomes[index]!;
      if (outcome === 'wrong_version') {
        const { aggregate, expectation } = append;
        throw new WrongExpectedVersionError(aggregate, expectation.expected, version);
      }
      if (outcome === 'corrupt_duplicate') {
        const ids = append.events.map(({ id }) => id);
        throw duplicateError(append, await this.reader.places(ids, manager));
      }
    }
  }
}

export const isRefused = ({ outcome }: AppendOutcome): boolean =>
  outcome !== 'ok' && outcome !== 'duplicate';

/** The error for a call in which some appends are stored by their keys, and others have no key. */
export function besideNewAppends(
  appends: readonly PreparedAppend[],
  byKey: readonly (AppendResult | undefined)[],
): DuplicateEventError {
  const index = byKey.findIndex((result) => result !== undefined);
  const { aggregate, events, idAt } = appends[index]!;
  const { version, records } = byKey[index]!;
  return new DuplicateEventError(aggregate, [idAt!(1)], {
    reason: 'beside-new-appends',
    eventCount: events.length,
    storedIn: aggregate,
    storedFrom: records[0]?.version ?? version,
    storedTo: version,
  });
}
