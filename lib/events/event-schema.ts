import { types } from 'node:util';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { EventSchemaError } from './events.errors.ts';
import { formatPath } from './payload-path.ts';

type Result = StandardSchemaV1.Result<unknown>;

/**
 * Checks a payload against a schema; returns a promise only if the schema answers with one.
 *
 * @throws EventSchemaError if the schema refuses the payload or fails.
 */
export function checkSchema(
  schema: StandardSchemaV1,
  eventType: string,
  payload: object,
): undefined | Promise<void> {
  const answer = ask(schema, eventType, payload);
  if (!types.isPromise(answer)) {
    outputOf(answer, eventType);
    return undefined;
  }
  return answer.then(
    (result) => void outputOf(result, eventType),
    (cause: unknown) => {
      throw new EventSchemaError(eventType, [], { cause });
    },
  );
}

/**
 * Returns the schema's output for a stored payload.
 *
 * @throws EventSchemaError if the schema refuses the payload, fails, answers with a promise, or puts
 * out anything but an object.
 */
export function readThroughSchema(
  schema: StandardSchemaV1,
  eventType: string,
  payload: object,
): object {
  const answer = ask(schema, eventType, payload);
  if (types.isPromise(answer)) answer.catch(() => 'refused below, whatever comes of it');
  const output = types.isPromise(answer) ? undefined : outputOf(answer, eventType);
  if (typeof output === 'object' && output !== null) return output;
  const cause = new TypeError("With dates: 'schema', a schema must put out an object, at once.");
  throw new EventSchemaError(eventType, [], { cause });
}

function ask(
  schema: StandardSchemaV1,
  eventType: string,
  payload: object,
): Result | Promise<Result> {
  try {
    return schema['~standard'].validate(payload);
  } catch (cause) {
    throw new EventSchemaError(eventType, [], { cause });
  }
}

function outputOf(result: Result, eventType: string): unknown {
  if (result.issues === undefined) return result.value;
  const issues = result.issues.map(({ path = [], message }) => ({
    path: formatPath(path.map(stepOf)),
    message,
  }));
  throw new EventSchemaError(eventType, issues);
}

function stepOf(segment: PropertyKey | StandardSchemaV1.PathSegment): string | number {
  const key = typeof segment === 'object' ? segment.key : segment;
  return typeof key === 'number' ? key : String(key);
}
