import { durablesOf, type DurableDefinition } from './durable.decorator.ts';
import { ownEventsHandledBy, sagasOf, type HandlerClass } from './bus-metadata.ts';

/**
 * Returns the problems of a class that inherits a handler or saga which is durable only in its parent:
 * in the subclass it would silently be neither on the bus nor durable.
 */
export function inheritanceProblems(
  handlerClass: HandlerClass,
  concerns: (definition: DurableDefinition) => boolean,
): string[] {
  const own = durablesOf(handlerClass);
  const problems: string[] = [];
  for (const parent of parentsOf(handlerClass)) {
    for (const definition of durablesOf(parent).filter(concerns)) {
      const { name, saga } = definition;
      if (own.some((each) => each.saga === saga)) continue;
      const isInherited =
        saga === undefined
          ? !ownEventsHandledBy(handlerClass)
          : sagasOf(handlerClass).some((each) => each.toString() === saga);
      if (!isInherited) continue;
      problems.push(
        `${handlerClass.name} inherits ${saga === undefined ? 'an @EventsHandler' : `the saga ${saga}`} ` +
          `that is durable in ${parent.name} as '${name}', but not here. Give it a @Durable of its own.`,
      );
    }
  }
  return problems;
}

function* parentsOf(handlerClass: HandlerClass): Generator<HandlerClass> {
  let parent: unknown = Object.getPrototypeOf(handlerClass);
  while (typeof parent === 'function') {
    yield parent as HandlerClass;
    parent = Object.getPrototypeOf(parent);
  }
}
