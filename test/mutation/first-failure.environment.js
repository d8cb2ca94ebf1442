import { TestEnvironment } from 'jest-environment-node';

/** Skips what is left of a spec once a test has failed, and writes which one, and by what, to stdout. */
export default class FirstFailureEnvironment extends TestEnvironment {
  #hasFailed = false;

  handleTestEvent(event) {
    if (event.name === 'test_start' && this.#hasFailed) event.test.mode = 'skip';
    if (event.name !== 'test_fn_failure' && event.name !== 'hook_failure') return;
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    const title = event.test?.name ?? `${event.hook?.type} hook`;
    process.stdout.write(`${title}\n${String(event.error?.message ?? event.error)}\n`);
  }
}
