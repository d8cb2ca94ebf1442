import { setTimeout as delay } from 'node:timers/promises';

/**
 * Polls until stopped: at once after a read that found events, after 10 ms otherwise.
 *
 * For stores that have a cursor and leave the loop around it to the application. `read` returns how
 * many events it found; if it fails, `stop` reports the error.
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
