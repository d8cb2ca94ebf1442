/** A function that does its work at most once in an interval. */
export interface Paced {
  /** Works at once if the last time is long enough ago, and else at the end of the interval. */
  (): void;
  /** Drops what was asked for and not done yet. */
  cancel(): void;
}

/** Paces work that others can ask for as often as they like; whatever was asked last is answered. */
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
