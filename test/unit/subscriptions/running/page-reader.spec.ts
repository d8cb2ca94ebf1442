import { describe, expect, it } from '@jest/globals';
import { startOfLog } from '../../../../lib/store/reading/log-place.ts';
import type { HeadPage, LogHead } from '../../../../lib/subscriptions/running/log-head.ts';
import { PageReader } from '../../../../lib/subscriptions/running/page-reader.ts';
import type { LogFilter } from '../../../../lib/subscriptions/running/selection.ts';

const filter = { storedTypes: [], aggregateTypes: undefined, passes: () => true } as LogFilter;

/** A log that ends at position 2, in pages of one position; returns where each page was read from. */
function logOfTwo(): { readonly head: LogHead; readonly readFrom: number[] } {
  const readFrom: number[] = [];
  const read = async ({ position }: { position: number }): Promise<HeadPage> => {
    readFrom.push(position);
    const reached = Math.min(2, position + 1);
    return { position: reached, mark: null, records: [], atEnd: reached === 2 };
  };
  return { head: { read } as unknown as LogHead, readFrom };
}

describe('PageReader', () => {
  it('reads the next page while the one before it is handled', async () => {
    const { head, readFrom } = logOfTwo();
    await new PageReader(head, filter, 1, new AbortController().signal).next(startOfLog);
    expect(readFrom).toEqual([0, 1]);
  });

  it('reads nothing ahead once its runner stops', async () => {
    const { head, readFrom } = logOfTwo();
    await new PageReader(head, filter, 1, AbortSignal.abort()).next(startOfLog);
    expect(readFrom).toEqual([0]);
  });

  it('never takes a page that was read ahead for the end of the log', async () => {
    const { head, readFrom } = logOfTwo();
    const pages = new PageReader(head, filter, 1, new AbortController().signal);
    const first = await pages.next(startOfLog);
    const second = await pages.next(first);
    expect(second).toMatchObject({ position: 2, atEnd: false });
    expect(await pages.next(second)).toMatchObject({ position: 2, atEnd: true });
    expect(readFrom).toEqual([0, 1, 2]);
  });

  it('drops a page that was read ahead for another position', async () => {
    const { head, readFrom } = logOfTwo();
    const pages = new PageReader(head, filter, 1, new AbortController().signal);
    await pages.next(startOfLog);
    expect(await pages.next(startOfLog)).toMatchObject({ position: 1 });
    expect(readFrom).toEqual([0, 1, 0, 1]);
  });
});
