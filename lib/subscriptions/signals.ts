/** The signals between processes: something was appended, or leases must be checked. */
export type Signal = 'append' | 'control';

/**
 * Wakes up what waits for appends or leases, in this process and in others.
 *
 * A signal may be lost or come too often; its listeners also poll.
 */
export abstract class Signals {
  /** Calls `onSignal` from now on, and once after every interruption of the service. */
  abstract start(onSignal: (signal: Signal) => void): Promise<void>;
  /**
   * Signals to the other processes. Never throws: polling finds what a lost signal would have
   * announced.
   */
  abstract announce(signal: Signal): void;
  abstract stop(): Promise<void>;
}
