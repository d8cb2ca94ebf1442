import { AsyncLocalStorage } from 'node:async_hooks';

interface RunningWork {
  readonly owner: object;
  readonly id: string;
  readonly outer: RunningWork | undefined;
  isRunning: boolean;
}

// Holds no application state: each value lives in one asynchronous flow and ends with its work.
const surrounding = new AsyncLocalStorage<RunningWork>();

/** Runs the work of one aggregate, so that a call from inside it, however deep, is recognized. */
export async function runWork<R>(
  owner: object,
  id: string,
  work: () => R | Promise<R>,
): Promise<R> {
  const running = { owner, id, outer: surrounding.getStore(), isRunning: true };
  try {
    return await surrounding.run(running, work);
  } finally {
    // What the work has begun and not awaited is on its own from now on.
    running.isRunning = false;
  }
}

/** Returns whether the caller is inside a work that is still running. */
export const isInsideWork = (): boolean => runningWorks().length > 0;

/** Returns whether the caller is inside a work of this very aggregate. */
export const isInsideWorkOf = (owner: object, id: string): boolean =>
  runningWorks().some((work) => work.owner === owner && work.id === id);

function runningWorks(): RunningWork[] {
  const works: RunningWork[] = [];
  for (let each = surrounding.getStore(); each; each = each.outer) {
    if (each.isRunning) works.push(each);
  }
  return works;
}
