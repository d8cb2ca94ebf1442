import { TestEnvironment } from 'jest-environment-node';

/** Skips what is left of a spec once a test has failed, and writes which one, and by what, to stdout. */
export default class FirstFailureEnvironment extends TestEnvironment {
  #hasFailed = false;

  handleTestEvent({ name, test, error, hook }) {
    if (name === 'test_start' && this.#hasFailed) test.mode = 'skip';
    // Not at a hook that fails: the tests after it fail by themselves, and would count as skipped.
    if (name === 'test_done' && test.errors.length > 0) this.#hasFailed = true;
    if (this.#hasFailed || (name !== 'test_fn_failure' && name !== 'hook_failure')) return;
    const title = test?.name ?? `${hook.type} hook`;
    process.stdout.write(`${title}\n${String(error?.message ?? error)}\n`);
  }
}
