import { domainEventOf } from './domain-event.decorator.ts';
import type { DomainEventDefinition, EventClass } from './domain-event.ts';
import { UnregisteredEventError } from './events.errors.ts';
import { nearestName } from '../input/nearest-name.ts';
import type { Upcaster } from './upcaster.ts';
import { isStorableText } from '../input/storable-text.ts';

/** Maps stored names to classes, and holds the upcasters. One per store. */
export class EventRegistry {
  readonly #problems: string[] = [];
  /** By current name and by alias. */
  readonly #byName = new Map<string, DomainEventDefinition>();
  /** Keyed by prototype: unlike `constructor`, a prototype cannot be hidden by the event's data. */
  readonly #byPrototype = new Map<unknown, DomainEventDefinition>();
  readonly #upcasters = new Map<string, Map<number, Upcaster>>();

  /** Makes a class known; registering the same class again changes nothing. */
  register(eventClass: EventClass): void {
    const definition = typeof eventClass === 'function' ? domainEventOf(eventClass) : undefined;
    if (definition === undefined) {
      this.#problems.push(undecorated(eventClass));
      return;
    }
    if (this.#byPrototype.has(eventClass.prototype)) return;
    this.#byPrototype.set(eventClass.prototype, definition);
    this.#problems.push(...definition.problems);
    if (definition.problems.length > 0) return;
    for (const name of [definition.name, ...definition.aliases]) this.#claim(name, definition);
  }

  /** Makes an upcaster known; registering the same one again changes nothing. */
  registerUpcaster(upcaster: Upcaster): void {
    if (!isUpcaster(upcaster)) {
      this.#problems.push(
        `\`upcasters\` lists something that is no upcaster. Make it with ` +
          'upcaster(type, fromRevision, upcast), the revision being a whole number from 1 up.',
      );
      return;
    }
    const { type, revision } = upcaster;
    const ofType = this.#upcasters.get(type) ?? new Map<number, Upcaster>();
    const present = ofType.get(revision);
    if (present === undefined) {
      this.#upcasters.set(type, ofType.set(revision, upcaster));
    } else if (present !== upcaster) {
      this.#problems.push(
        `Two upcasters read '${type}' at revision ${revision}. Keep one: an upcaster reads exactly ` +
          'one revision.',
      );
    }
  }

  /** Problems of the registrations so far, each one sentence with its remedy. */
  get problems(): readonly string[] {
    return [...this.#problems, ...this.#unreachableRevisions()];
  }

  /**
   * Returns the definition of an event's class.
   *
   * @throws UnregisteredEventError if the class itself is not registered; a registered parent does not
   * count.
   */
  definitionOf(event: object): DomainEventDefinition {
    return this.#definitionFor(Object.getPrototypeOf(Object(event)) as object | null);
  }

  /** Returns the definition with which events stored under this name, current or former, are read. */
  resolve(storedType: string): DomainEventDefinition | undefined {
    return this.#byName.get(storedType);
  }

  /** Returns the upcaster for events stored under exactly this name, or else for the current name. */
  upcasterFor(type: string, revision: number): Upcaster | undefined {
    const current = this.#byName.get(type)?.name ?? type;
    return this.#upcasters.get(type)?.get(revision) ?? this.#upcasters.get(current)?.get(revision);
  }

  /**
   * Returns the stored names of these types, as a filter for a read.
   *
   * A class or a current name includes its aliases; any other name stays as it is. Names that an
   * upcaster changes into one of these types are not included.
   *
   * @throws UnregisteredEventError for a class that is not registered.
   * @throws TypeError for a value that is neither a class nor text that can be stored.
   */
  storedNames(types: readonly (string | EventClass)[]): string[] {
    if (!Array.isArray(types)) throw new TypeError('types must be a list of names and classes.');
    return [...new Set(types.flatMap((type) => this.#storedNamesOf(type)))];
  }

  /**
   * Returns every stored name whose events may be read as one of these classes.
   *
   * An upcaster may turn an event into any other, so every name with an upcaster is included. A caller
   * that must not miss an event reads all of these names and checks the class of each event.
   */
  namesReadAs(eventClasses: readonly EventClass[]): readonly string[] {
    return [...new Set([...this.storedNames(eventClasses), ...this.#upcasters.keys()])];
  }

  /** Every stored name, current or former, with a registered class or upcaster. */
  get readableTypes(): readonly string[] {
    return [...new Set([...this.#byName.keys(), ...this.#upcasters.keys()])];
  }

  /** Returns the registered name that is most similar to this one, if any is similar. */
  nearest(name: string): string | undefined {
    return nearestName(name, this.#byName.keys());
  }

  #storedNamesOf(type: string | EventClass): string[] {
    if (typeof type !== 'function' && !isStorableText(type)) {
      throw new TypeError('types must list classes, and names without NUL or lone surrogates.');
    }
    const definition =
      typeof type === 'string' ? this.#byName.get(type) : this.#definitionFor(type.prototype);
    // A former name matches only the events that were stored under it.
    if (definition === undefined || definition.aliases.some((alias) => alias === type)) {
      return [type as string];
    }
    return [definition.name, ...definition.aliases];
  }

  #definitionFor(prototype: object | null): DomainEventDefinition {
    const definition = this.#byPrototype.get(prototype);
    if (definition !== undefined) return definition;
    const eventClass = prototype?.constructor as EventClass | undefined;
    throw new UnregisteredEventError(
      eventClass?.name ?? 'null',
      eventClass !== undefined && domainEventOf(eventClass) !== undefined,
    );
  }

  #claim(name: string, definition: DomainEventDefinition): void {
    const other = this.#byName.get(name);
    if (other !== undefined && other !== definition) {
      this.#problems.push(
        `The event name '${name}' is used by two classes, ${other.eventClass.name} and ` +
          `${definition.eventClass.name}. Rename one of them.`,
      );
      return;
    }
    this.#byName.set(name, definition);
  }

  #unreachableRevisions(): string[] {
    return [...this.#upcasters.values()]
      .flatMap((ofType) => [...ofType.values()])
      .filter(({ type, revision }) => {
        const definition = this.#byName.get(type);
        return definition?.name === type && revision >= definition.revision;
      })
      .map(
        ({ type, revision }) =>
          `An upcaster reads '${type}' at revision ${revision}, but its class is at revision ` +
          `${this.#byName.get(type)!.revision}. Raise \`revision\` in @DomainEvent('${type}').`,
      );
  }
}

function undecorated(eventClass: unknown): string {
  return typeof eventClass === 'function'
    ? `The class ${eventClass.name} is listed in \`events\` but has no @DomainEvent of its own. ` +
        "Name it with @DomainEvent('…')."
    : `\`events\` lists ${String(eventClass)} instead of a class. Look for files that import each ` +
        'other in a circle.';
}

function isUpcaster(value: unknown): value is Upcaster {
  if (typeof value !== 'object' || value === null) return false;
  const { type, revision, upcast } = value as Partial<Upcaster>;
  return (
    typeof type === 'string' &&
    Number.isSafeInteger(revision) &&
    revision! >= 1 &&
    typeof upcast === 'function'
  );
}
