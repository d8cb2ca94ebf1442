import { describe, expect, it } from '@jest/globals';
import { preferredWaitSeconds } from '../../lib/http/prefer-wait.ts';

describe('A Prefer header', () => {
  it('is read in a time that grows with its length alone', () => {
    for (const part of ['"\\', '\\"', '"', '"\\"', '"a', ',', '=', ';', ' ', 'wait="']) {
      const started = performance.now();
      preferredWaitSeconds(part.repeat(1_000_000 / part.length));
      // A second look at every character of the rest, from every quote, takes minutes.
      expect(performance.now() - started).toBeLessThan(10_000);
    }
  });
});
