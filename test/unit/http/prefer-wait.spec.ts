import { describe, expect, it } from '@jest/globals';
import { preferredWaitSeconds } from '../../../lib/http/prefer-wait.ts';

describe('A Prefer header', () => {
  it.each<[string | undefined, number | null | undefined]>([
    [undefined, undefined],
    ['', undefined],
    ['wait', null],
    ['wait=', null],
    ['wait=10', 10],
    ['return=minimal, wait=7', 7],
    ['Wait = "3"; foo', 3],
    ['wait=1, wait=2', 1],
    ['wait=soon', undefined],
    ['wait="1\\"0"', undefined],
    ['handling="lenient, wait=3"', undefined],
    ['handling="a\\", wait=3", wait=4', 4],
    ['handling="a\\\\", wait=4', 4],
    ['handling="not closed, wait=3', undefined],
    ['foo; bar="wait=3", wait=4', 4],
  ])('%j asks to wait for %j seconds', (header, seconds) => {
    expect(preferredWaitSeconds(header)).toBe(seconds);
  });
});
