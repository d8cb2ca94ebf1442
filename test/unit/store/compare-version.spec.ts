import { describe, expect, it } from '@jest/globals';
import { compareVersion } from 'nest-event-store';

describe('compareVersion', () => {
  it.each([
    [0, 0, 'equal'],
    [5, 5, 'equal'],
    [0, 1, 'next'],
    [5, 6, 'next'],
    [0, 2, 'future'],
    [5, 9, 'future'],
    [1, 0, 'past'],
    [5, 4, 'past'],
  ] as const)('at %i, a record at %i is %s', (current, incoming, comparison) => {
    expect(compareVersion(current, incoming)).toBe(comparison);
  });

  it('refuses what is no version', () => {
    expect(() => compareVersion(-1, 0)).toThrow(TypeError);
    expect(() => compareVersion(0, 1.5)).toThrow(TypeError);
  });
});
