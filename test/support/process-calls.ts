/** What goes over the channel between a spec and a process that it has started. */
export interface Call {
  readonly number: number;
  readonly method: string;
  readonly values: readonly unknown[];
}

export type Answer =
  | { readonly number: number; readonly result: unknown }
  | { readonly number: number; readonly error: string };

/** The functions that a process offers to the spec that has started it. */
export type Offered = Readonly<Record<string, (...values: never[]) => unknown>>;

/** Sent when a process is ready to be called. */
export const ready = 'ready';

/** The value that the spec has started this process with. */
export const startValue = (): unknown => JSON.parse(process.argv[2]!);

/**
 * Answers the calls of the spec that has started this process.
 *
 * When asked to end, it calls `close` and then ends by itself, unless something is left open.
 */
export function offer(functions: Offered, close: () => Promise<void>): void {
  const leave = (): never => process.exit(1);
  process.on('disconnect', leave);
  const end = async (): Promise<void> => {
    await close();
    process.off('disconnect', leave);
    process.disconnect();
  };
  process.once('SIGTERM', () => void end());
  process.on('message', (call: Call) => void answer(functions, call));
  process.send!(ready);
}

async function answer(functions: Offered, { number, method, values }: Call): Promise<void> {
  let reply: Answer;
  try {
    reply = { number, result: await functions[method]!(...(values as never[])) };
  } catch (error) {
    reply = { number, error: (error as Error).stack ?? 'unknown' };
  }
  if (process.connected) process.send!(reply);
}
