import { expect } from '@jest/globals';
import { eventually } from './eventually.ts';

/**
 * Repeats a call with a short time limit until its error has this message: on a slow machine, the limit
 * may end before the reason is known.
 */
export async function eventuallyRejects(
  call: () => Promise<unknown>,
  message: string | RegExp,
): Promise<void> {
  await eventually(async () => {
    await expect(call()).rejects.toThrow(message);
    return true;
  });
}
