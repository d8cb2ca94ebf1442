/** A function that does its work at most once in an interval. */
export interface Paced {
  /** Works at once if the interval since the last time has passed, otherwise at its end. */
  (): void;
  /** Cancels work that was requested and not done yet. */
  cancel(): void;
}

/**
 * Limits how often work runs that callers may request at any time; the last request is always served.
 */
export function atMostEvery(intervalMs: number, work: () => void): Paced {
  let resting: NodeJS.Timeout | undefined;
  let isDue = false;
  const ask = (): void => {
    if (resting !== undefined) {
      isDue = true;
      return;
    }
    resting = setTimeout(() => {
      resting = undefined;
      if (!isDue) return;
      isDue = false;
      ask();
    }, intervalMs).unref();
    work();
  };
  const cancel = (): void => {
    clearTimeout(resting);
    resting = undefined;
    isDue = false;
  };
  return Object.assign(ask, { cancel });
}
