/** What processes signal to each other: that something was appended, or that leases need a look. */
export type Signal = 'append' | 'control';

/**
 * Wakes up what waits for appends or leases, in this process and in others.
 *
 * A signal may get lost or come too often; its listeners also look by the clock.
 */
export abstract class Signals {
  /** Calls `onSignal` from now on, also after every interruption of the service. */
  abstract start(onSignal: (signal: Signal) => void): Promise<void>;
  /** Signals to the other processes. Never throws: what is not heard is found by the clock. */
  abstract announce(signal: Signal): void;
  abstract stop(): Promise<void>;
}
