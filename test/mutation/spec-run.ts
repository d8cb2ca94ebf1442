import { spawn } from 'node:child_process';

/** How a spec ended: without any failure, with one, or with one that is due to a timeout. */
export interface SpecRun {
  readonly outcome: 'passed' | 'failed' | 'timed-out';
  /** The test that failed first, where it is known. */
  readonly test: string;
  readonly ms: number;
}

const jest = [
  ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'],
  ['node_modules/jest/bin/jest.js', '-i', '--forceExit', '--silent', '--cacheDirectory=.jest'],
  ['--testPathIgnorePatterns=/node_modules/', '--testTimeout=60000'],
  ['--testEnvironment=./test/mutation/first-failure.environment.js'],
].flat();
/** The message of a test, or of a wait inside a test, that took too long. */
const tookTooLong = /Exceeded timeout|was not met within|did not .* within|TimeoutError/i;

/** Runs a spec in a copy of the project until its first failure, and ends it after `limitMs`. */
export function runSpec(directory: string, spec: string, limitMs: number): Promise<SpecRun> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, [...jest, `/test/${spec}`], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'ignore'],
    // A group of its own: processes that the spec has started end with it.
    detached: true,
  });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += String(chunk)));
  let isOverdue = false;
  const timer = setTimeout(() => {
    isOverdue = true;
    endGroup(child.pid!);
  }, limitMs);
  return new Promise((resolve) => {
    child.on('exit', (status) => {
      clearTimeout(timer);
      endGroup(child.pid!);
      const ms = performance.now() - startedAt;
      const [test = ''] = said.split('\n');
      if (status === 0) resolve({ outcome: 'passed', test, ms });
      else if (isOverdue || tookTooLong.test(said)) resolve({ outcome: 'timed-out', test, ms });
      else resolve({ outcome: 'failed', test, ms });
    });
  });
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nothing is left of it.
  }
}
