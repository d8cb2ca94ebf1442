import { nearestName } from '../events/nearest-name.ts';

/**
 * Refuses a key that means nothing, as a misspelt option would be left out of account in silence.
 *
 * On the path of every append, so it allocates nothing unless it refuses.
 *
 * @throws TypeError naming the key and the one that is most likely meant.
 */
export function checkKeys(subject: string, given: object, known: ReadonlySet<string>): void {
  for (const key in given) if (!known.has(key)) refuse(subject, key, known);
}

function refuse(subject: string, key: string, known: ReadonlySet<string>): never {
  const meant = nearestName(key, known);
  throw new TypeError(
    `${subject} has no '${key}'; ` +
      (meant ? `did you mean '${meant}'?` : `it may have ${[...known].join(', ')}.`),
  );
}
