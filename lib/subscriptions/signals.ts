/** What processes tell each other: that something was appended, or that leases are to be looked at. */
export type Signal = 'append' | 'control';

/**
 * Wakes up those who wait for appends or leases, in this process and in others.
 *
 * A signal may get lost or come too often; whoever relies on it also looks by the clock.
 */
export abstract class Signals {
  /** Calls `onSignal` from now on, also after every interruption of the service. */
  abstract start(onSignal: (signal: Signal) => void): Promise<void>;
  /** Tells the other processes. Never throws: what is not heard is found by the clock. */
  abstract announce(signal: Signal): void;
  abstract stop(): Promise<void>;
}
