import { setTimeout as delay } from 'node:timers/promises';

/**
 * Reads on until stopped: at once while there is something new, after 10 ms otherwise.
 *
 * For stores that have a cursor and leave the loop around it to the application. `read` answers how
 * many events it has found; its failure is reported by `stop`.
 */
export function poll(read: () => Promise<number>): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) if ((await read()) === 0) await delay(10);
  };
  const running = run();
  running.catch(() => {});
  return {
    stop() {
      stopping.abort();
      return running;
    },
  };
}
