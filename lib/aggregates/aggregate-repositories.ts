import type { EventStore } from '../store/event-store.ts';
import {
  aggregateOf,
  type AggregateClass,
  type AggregateDefinition,
  type IdentifiedAggregate,
} from './aggregate.decorator.ts';
import { AggregateRepository } from './aggregate-repository.ts';
import type { AggregateRepositoryOptions } from './repository-options.ts';
import { UnknownAggregateError } from './aggregates.errors.ts';

/**
 * The repositories of one store: exactly one for every aggregate class.
 *
 * There must be only one, because a repository remembers the version at which it loaded an instance.
 */
export class AggregateRepositories {
  readonly #repositories = new Map<AggregateClass, AggregateRepository<IdentifiedAggregate>>();
  readonly #byType = new Map<string, AggregateClass>();
  readonly #problems: string[] = [];

  constructor(
    private readonly store: EventStore,
    private readonly options: AggregateRepositoryOptions,
  ) {}

  /** Problems of the classes asked for so far, each one sentence with its remedy. */
  get problems(): readonly string[] {
    return this.#problems;
  }

  /** @throws UnknownAggregateError if the class has no `@Aggregate`. */
  of<T extends IdentifiedAggregate>(aggregateClass: AggregateClass<T>): AggregateRepository<T> {
    const known = this.#repositories.get(aggregateClass);
    if (known) return known as unknown as AggregateRepository<T>;

    const definition = aggregateOf(aggregateClass);
    if (!definition) throw new UnknownAggregateError(aggregateClass.name);
    this.#check(definition, aggregateClass);
    const repository = new AggregateRepository(
      this.store,
      aggregateClass,
      definition,
      this.options,
    );
    this.#repositories.set(aggregateClass, repository);
    return repository;
  }

  #check(definition: AggregateDefinition, aggregateClass: AggregateClass): void {
    const { type, problems } = definition;
    const otherClass = this.#byType.get(type);
    if (otherClass) {
      this.#problems.push(
        `The aggregate type '${type}' is used by two classes, ${otherClass.name} and ` +
          `${aggregateClass.name}. Rename one of them.`,
      );
    }
    this.#byType.set(type, aggregateClass);
    this.#problems.push(...problems);
  }
}
