import type { StandardSchemaV1 } from '@standard-schema/spec';
import { EventSchemaError, type EventSchemaIssue } from './events.errors.ts';
import { formatPath } from './payload/payload-path.ts';
import { withTimeout } from '../input/with-timeout.ts';

/**
 * Limited, because the append, later appends to the aggregate and a shutdown all wait for the schema.
 */
const longestAnswerMs = 10_000;

/**
 * Checks a payload against a schema; returns a promise only if the schema returns one.
 *
 * @throws EventSchemaError if the schema refuses the payload, fails, or takes longer than 10 seconds.
 */
export function checkSchema(
  schema: StandardSchemaV1,
  eventType: string,
  payload: object,
): undefined | Promise<void> {
  const { answer, pending } = ask(schema, eventType, payload);
  if (pending === undefined) {
    outputOf(answer, eventType);
    return undefined;
  }
  const late = (): Error => new Error(`The schema has not answered for ${longestAnswerMs} ms.`);
  return withTimeout(longestAnswerMs, pending, late).then(
    (result) => void outputOf(result, eventType),
    (cause: unknown) => {
      throw new EventSchemaError(eventType, [], { cause });
    },
  );
}

/**
 * Returns the schema's output for a stored payload.
 *
 * @throws EventSchemaError if the schema refuses the payload, fails, returns a promise, or outputs
 * anything but an object.
 */
export function readThroughSchema(
  schema: StandardSchemaV1,
  eventType: string,
  payload: object,
): object {
  const { answer, pending } = ask(schema, eventType, payload);
  // A promise is refused below, so its rejection must not end the process.
  pending?.catch(ignore);
  const output = pending ? undefined : outputOf(answer, eventType);
  if (typeof output === 'object' && output !== null) return output;
  const cause = new TypeError("With dates: 'schema', a schema must put out an object, at once.");
  throw new EventSchemaError(eventType, [], { cause });
}

/** The answer of a schema: a value, or a promise of any library. */
interface Asked {
  readonly answer?: unknown;
  readonly pending?: Promise<unknown>;
}

function ask(schema: StandardSchemaV1, eventType: string, payload: object): Asked {
  try {
    const answer: unknown = schema['~standard'].validate(payload);
    return isThenable(answer) ? { pending: Promise.resolve(answer) } : { answer };
  } catch (cause) {
    throw new EventSchemaError(eventType, [], { cause });
  }
}

/**
 * Reads a schema's answer, which may be anything; an error of its library must not look like the
 * store's.
 */
function outputOf(answer: unknown, eventType: string): unknown {
  let issues: readonly EventSchemaIssue[];
  try {
    const result = checkAnswer(answer);
    if (result.issues === undefined) return result.value;
    issues = Array.from(result.issues, issueOf);
  } catch (cause) {
    throw new EventSchemaError(eventType, [], { cause });
  }
  throw new EventSchemaError(eventType, issues);
}

/** @throws TypeError if it is not a result of a Standard Schema. */
function checkAnswer(answer: unknown): StandardSchemaV1.Result<unknown> {
  const isObject = typeof answer === 'object' && answer !== null;
  if (isObject && ('issues' in answer ? isList(answer.issues) : 'value' in answer)) {
    return answer as StandardSchemaV1.Result<unknown>;
  }
  throw new TypeError(
    'The schema answered with neither { value } nor { issues: […] }, as the Standard Schema has it.',
  );
}

// A result with `value` may also have `issues: undefined`.
const isList = (issues: unknown): boolean =>
  issues === undefined || (Array.isArray(issues) && issues.length > 0);

function issueOf({ path, message }: StandardSchemaV1.Issue): EventSchemaIssue {
  const said: unknown = message;
  return { path: formatPath(Array.from(path ?? [], stepOf)), message: String(said) };
}

function stepOf(segment: PropertyKey | StandardSchemaV1.PathSegment): string | number {
  const key = typeof segment === 'object' ? segment.key : segment;
  return typeof key === 'number' ? key : String(key);
}

const isThenable = (answer: unknown): answer is PromiseLike<unknown> =>
  typeof (answer as PromiseLike<unknown> | null | undefined)?.then === 'function';

const ignore = (): void => undefined;
