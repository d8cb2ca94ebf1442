import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { patiently } from './eventually.ts';
import { type Answer, type Offered, ready } from './process-calls.ts';

/** Functions as another process sees them: arguments and results are passed as JSON. */
export type Remote<Functions extends Offered> = {
  readonly [Name in keyof Functions]: (
    ...values: Parameters<Functions[Name]>
  ) => Promise<Awaited<ReturnType<Functions[Name]>>>;
};

/** A process of its own that runs one TypeScript file, which must call `offer`. */
export interface TestProcess<Functions extends Offered> {
  readonly pid: number;
  /** Calls what the process offers; rejects if it ends first. */
  readonly call: Remote<Functions>;
  /** What the process has printed. */
  readonly output: string;
  /** Suspends it until `thaw`; connections stay open. */
  freeze(): void;
  thaw(): void;
  /** Ends it at once, as `kill -9` does. */
  kill(): Promise<void>;
  /** Asks it to end, as `kill` does; rejects if it was gone before or does not end well. */
  stop(): Promise<void>;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Ends whatever a failed spec has left behind. */
export async function killAll(): Promise<void> {
  await Promise.all([...running].map((child) => end(child, 'SIGKILL')));
}

/**
 * Starts a file with a value for its `startValue()`, and resolves when it offers its functions.
 *
 * @param options for Node.js, such as a limit of its heap.
 */
export async function startProcess<Functions extends Offered>(
  file: URL,
  value: unknown,
  options: readonly string[] = [],
): Promise<TestProcess<Functions>> {
  const loader = new URL('./typescript.js', import.meta.url);
  const child = fork(fileURLToPath(file), [JSON.stringify(value)], {
    execArgv: ['--import', loader.href, ...options],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  running.add(child);
  child.once('exit', () => running.delete(child));
  let output = '';
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const ended = (): Error =>
    new Error(
      `The process ${child.pid} has ended (${child.signalCode ?? child.exitCode}). It has printed:\n${output}`,
    );

  const calls = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  let lastNumber = 0;
  child.once('exit', () => {
    for (const { reject } of calls.values()) reject(ended());
  });
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject).once('exit', () => reject(ended()));
    child.on('message', (message: Answer | typeof ready) => {
      if (message === ready) return resolve();
      const call = calls.get(message.number);
      calls.delete(message.number);
      if ('error' in message) call?.reject(new Error(`In the process: ${message.error}`));
      else call?.resolve(message.result);
    });
  });

  return {
    pid: child.pid!,
    call: new Proxy({} as Remote<Functions>, {
      get:
        (_, method) =>
        (...values: unknown[]) =>
          new Promise((resolve, reject) => {
            if (!child.connected) return reject(ended());
            const number = ++lastNumber;
            calls.set(number, { resolve, reject });
            child.send({ number, method, values }, (error) => error && reject(error));
          }),
    }),
    get output() {
      return output;
    },
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    kill: () => end(child, 'SIGKILL'),
    async stop() {
      if (!running.has(child)) throw ended();
      const tooLong = delay(patiently.timeoutMs, undefined, { ref: false });
      await Promise.race([end(child, 'SIGTERM'), tooLong]);
      if (child.exitCode !== 0) throw ended();
    },
  };
}

async function end(child: ChildProcess, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  if (!running.has(child)) return;
  const exit = once(child, 'exit');
  child.kill(signal);
  await exit;
}
