import { describe, expect, it } from '@jest/globals';
import { preferredWaitSeconds } from '../../lib/http/prefer-wait.ts';

describe('A Prefer header', () => {
  it('is parsed in time that is linear in its length', () => {
    for (const part of ['"\\', '\\"', '"', '"\\"', '"a', ',', '=', ';', ' ', 'wait="']) {
      const started = performance.now();
      preferredWaitSeconds(part.repeat(1_000_000 / part.length));
      // To scan the rest again from every quote would take minutes.
      expect(performance.now() - started).toBeLessThan(10_000);
    }
  });
});
