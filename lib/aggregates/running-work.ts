import { AsyncLocalStorage } from 'node:async_hooks';

interface RunningWork {
  readonly owner: object;
  readonly id: string;
  readonly outer: RunningWork | undefined;
  isRunning: boolean;
}

// This is no application state: each value lives in one asynchronous flow and ends with its work.
const surrounding = new AsyncLocalStorage<RunningWork>();

/** Runs the work of one aggregate, so that calls made inside it, at any depth, are recognized. */
export async function runWork<R>(
  owner: object,
  id: string,
  work: () => R | Promise<R>,
): Promise<R> {
  const running = { owner, id, outer: surrounding.getStore(), isRunning: true };
  try {
    return await surrounding.run(running, work);
  } finally {
    // Calls that the work has begun but not awaited no longer count as inside it.
    running.isRunning = false;
  }
}

/** Returns whether the caller is inside a work that is still running. */
export const isInsideWork = (): boolean => runningWorks().length > 0;

/** Returns whether the caller is inside a work of this aggregate. */
export const isInsideWorkOf = (owner: object, id: string): boolean =>
  runningWorks().some((work) => work.owner === owner && work.id === id);

function runningWorks(): RunningWork[] {
  const works: RunningWork[] = [];
  for (let each = surrounding.getStore(); each; each = each.outer) {
    if (each.isRunning) works.push(each);
  }
  return works;
}
