import { isDatePath } from './payload/date-paths.ts';
import type { DomainEventOptions } from './domain-event.ts';
import { nearestName } from '../input/nearest-name.ts';
import { problemOfName, nameRule } from '../input/printable-name.ts';

export const domainEventOptionNames = ['revision', 'schema', 'dates', 'aliases'];

/** Returns the problems of the arguments of a `@DomainEvent`, each with its remedy. */
export function domainEventProblems(
  className: string,
  name: string,
  options: DomainEventOptions,
): string[] {
  const { revision = 1, schema, dates = [], aliases = [] } = options;
  const problems: string[] = [];
  const problem = (what: string): void => {
    problems.push(`@DomainEvent on ${className}: ${what}`);
  };

  if (!isEventName(name)) problem(`the name ${mustBeName}`);
  if (!Number.isSafeInteger(revision) || revision < 1 || revision > maxRevision) {
    problem(`\`revision\` must be a whole number from 1 to ${maxRevision}.`);
  }
  if (schema !== undefined && typeof schema?.['~standard']?.validate !== 'function') {
    problem('`schema` must be a Standard Schema, such as one of zod, valibot or arktype.');
  }
  if (dates === 'schema') {
    if (schema === undefined) problem("`dates: 'schema'` needs a `schema`.");
  } else if (!Array.isArray(dates) || !dates.every(isDatePath)) {
    problem("`dates` must be a list of paths like 'sentAt' or 'lines[].shippedAt', or 'schema'.");
  }
  if (!Array.isArray(aliases) || !aliases.every(isEventName)) {
    problem(`every one of \`aliases\` ${mustBeName}`);
  } else if (aliases.includes(name)) {
    problem('`aliases` must not hold the name itself; list former names only.');
  }
  for (const key of Object.keys(options)) {
    if (domainEventOptionNames.includes(key)) continue;
    const meant = nearestName(key, domainEventOptionNames);
    const suggestion = meant === undefined ? '' : ` Did you mean \`${meant}\`?`;
    problem(
      `unknown option \`${key}\`.${suggestion} Options are ${domainEventOptionNames.join(', ')}.`,
    );
  }
  return problems;
}

const maxRevision = 2_147_483_647;
const maxNameBytes = 255;
const mustBeName = `must be ${nameRule(maxNameBytes)}.`;

const isEventName = (name: unknown): boolean => problemOfName(name, maxNameBytes) === undefined;
