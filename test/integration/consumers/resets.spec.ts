import { describe, expect, it } from '@jest/globals';
import { noRetry } from '../../../lib/subscriptions/retry-policy.ts';
import { consumer } from '../../support/consumers.ts';
import { eventually } from '../../support/eventually.ts';
import { useConsumers } from './use-consumers.ts';

const given = useConsumers();
const { start, append } = given;

describe('a reset', () => {
  it('hands events over again, marked as replayed', async () => {
    const seen: [number, boolean][] = [];
    const { control } = await start(given.dataSource, given.store, [
      consumer(
        'again',
        async ([record], { replayed }) => void seen.push([record!.position, replayed]),
        { kind: 'handler' },
      ),
    ]);
    await control.waitFor('again', (await append('a', 1, 2)).position);
    await control.reset('again', 1);
    await control.waitFor('again', 2);
    await control.waitFor('again', (await append('a', 3)).position);
    expect(seen).toEqual([
      [1, false],
      [2, false],
      [2, true],
      [3, false],
    ]);
  });

  it('and a rebuild after it still know what was handled before', async () => {
    let broken = 0;
    const seen: string[] = [];
    const { control } = await start(given.dataSource, given.store, [
      consumer(
        'again',
        async ([record], { generation, replayed }) => {
          if (record!.position === broken) throw new Error('broken');
          seen.push(`${generation}: ${record!.position}${replayed ? ' replayed' : ''}`);
        },
        { kind: 'handler', retry: noRetry },
      ),
    ]);
    await control.waitFor('again', (await append('a', 1, 2, 3)).position);
    broken = 2;
    await control.reset('again', 0);
    await eventually(async () => (await control.list()).consumers[0]!.status === 'stopped');
    broken = 0;
    await control.rebuild('again');
    await eventually(async () => (await control.list()).consumers[0]!.generation === 2);
    await control.waitFor('again', (await append('a', 4)).position);
    expect(seen.filter((each) => each.startsWith('2'))).toEqual([
      '2: 1 replayed',
      '2: 2 replayed',
      '2: 3 replayed',
      '2: 4',
    ]);
  });
});
