import assert from 'node:assert/strict';
import { inspect, types } from 'node:util';
import type { EventCodec } from '../events/payload/event-codec.ts';
import { KnownOptions } from '../input/known-options.ts';
import { StoredForm } from './stored-form.ts';

/** The part of an aggregate that a scenario needs; every `AggregateRoot` of `@nestjs/cqrs` has it. */
export interface ScenarioAggregate {
  loadFromHistory(history: object[]): void;
  getUncommittedEvents(): object[];
}

export interface ScenarioOptions {
  /** The id with which the aggregate is constructed. @default 'scenario' */
  readonly id?: string;
  /** The codec of the store, which decides what an event can contain. @default new JsonCodec() */
  readonly codec?: EventCodec;
}

const scenarioOptions = new KnownOptions<ScenarioOptions>('scenario', { id: true, codec: true });

/**
 * Starts a test of one decision of an aggregate: given these events, when this work runs, then expect
 * other events or an error.
 *
 * All events, given and expected, pass through the store's codec and back. An event that cannot be
 * stored, or that would be read back as something else, therefore fails the test. Works under any test
 * runner: an unmet expectation throws an `AssertionError` of `node:assert`.
 *
 * @example
 * scenario(LoanApplication)
 *   .given(new ApplicationSubmitted(5_000), new OfferAccepted())
 *   .when((application) => application.approve())
 *   .then(new ApplicationApproved());
 */
export function scenario<T extends ScenarioAggregate>(
  aggregateClass: new (id: string) => T,
  options: ScenarioOptions = {},
): Scenario<T> {
  const { id = 'scenario', codec } = scenarioOptions.take(options);
  return new Scenario(new aggregateClass(id), new StoredForm(codec));
}

/** A scenario with the events that happened before. */
export class Scenario<T extends ScenarioAggregate> {
  readonly #aggregate: T;
  readonly #storedForm: StoredForm;

  constructor(aggregate: T, storedForm: StoredForm) {
    this.#aggregate = aggregate;
    this.#storedForm = storedForm;
  }

  /** Applies events that happened before; may be called several times, or not at all. */
  given(...events: object[]): this {
    this.#aggregate.loadFromHistory(this.#storedForm.of(events));
    return this;
  }

  /** Runs the work on the aggregate. It must end at once; a promise is refused with a TypeError. */
  when(work: (aggregate: T) => void): ScenarioOutcome<T> {
    try {
      const result: unknown = work(this.#aggregate);
      if (types.isPromise(result)) {
        // A promise is refused below, so its rejection must not end the process.
        result.catch(ignore);
        throw new TypeError('The work given to when() returned a promise. It must end at once.');
      }
    } catch (error) {
      return new ScenarioOutcome(this.#aggregate, this.#storedForm, { error });
    }
    return new ScenarioOutcome(this.#aggregate, this.#storedForm);
  }
}

/** The outcome of a scenario, which checks the events, the error or the state. */
export class ScenarioOutcome<T extends ScenarioAggregate> {
  readonly #aggregate: T;
  readonly #storedForm: StoredForm;
  readonly #failure: { readonly error: unknown } | undefined;

  constructor(aggregate: T, storedForm: StoredForm, failure?: { readonly error: unknown }) {
    this.#aggregate = aggregate;
    this.#storedForm = storedForm;
    this.#failure = failure;
  }

  /** Expects exactly these new events, in this order; without arguments, expects none. */
  then(...events: object[]): void {
    if (events.some((event) => typeof event === 'function')) {
      throw new TypeError(
        'A scenario is not a promise: do not await it, end it with then(…events).',
      );
    }
    this.#rethrow();
    assert.deepEqual(this.#newEvents(), this.#storedForm.of(events));
  }

  /** Expects the work to throw an error of this class, or one whose text matches. */
  thenThrows(expected: RegExp | (abstract new (...args: never[]) => Error)): void {
    if (this.#failure === undefined) {
      const wanted = typeof expected === 'function' ? expected.name : String(expected);
      assert.fail(
        `Expected ${wanted} to be thrown, but these events came: ${inspect(this.#newEvents())}`,
      );
    }
    const { error } = this.#failure;
    if (typeof expected !== 'function') assert.match(String(error), expected);
    else if (!(error instanceof expected)) throw error;
  }

  /** Passes the current aggregate to the check, which throws or returns false if the state is wrong. */
  thenState(check: (aggregate: T) => unknown): void {
    this.#rethrow();
    assert.notEqual(check(this.#aggregate), false, 'The state is not as expected.');
  }

  #newEvents(): object[] {
    return this.#storedForm.of(this.#aggregate.getUncommittedEvents());
  }

  #rethrow(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

const ignore = (): void => undefined;
