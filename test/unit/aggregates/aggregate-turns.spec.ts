import { describe, expect, it } from '@jest/globals';
import { AggregateTurns } from '../../../lib/aggregates/aggregate-turns.ts';
import { AggregateLockedError } from '../../../lib/store/appending/append.errors.ts';

/** A use of an aggregate that lasts until `end` is called. */
function lasting(name: string, begun: string[]) {
  let end!: () => void;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  return {
    end,
    use: async () => {
      begun.push(name);
      await ended;
    },
  };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('turns', () => {
  it('are taken one after another for one aggregate, and side by side for several', async () => {
    const turns = new AggregateTurns();
    const begun: string[] = [];
    const [first, second, other] = ['first', 'second', 'other'].map((name) => lasting(name, begun));
    const all = [
      turns.take('a', true, first!.use),
      turns.take('a', true, second!.use),
      turns.take('b', true, other!.use),
    ];
    await settled();
    expect(begun).toEqual(['first', 'other']);
    expect(turns.size).toBe(2);
    first!.end();
    await settled();
    expect(begun).toEqual(['first', 'other', 'second']);
    second!.end();
    other!.end();
    await Promise.all(all);
    expect(turns.size).toBe(0);
  });

  it('also end with a failure, which only its caller sees', async () => {
    const turns = new AggregateTurns();
    const failing = turns.take('a', true, () => Promise.reject(new Error('on purpose')));
    const next = turns.take('a', true, async () => 'done');
    await expect(failing).rejects.toThrow('on purpose');
    expect(await next).toBe('done');
    expect(turns.size).toBe(0);
  });

  it('that have waited as long fail together with one that a locked aggregate stops', async () => {
    const turns = new AggregateTurns();
    const locked = new AggregateLockedError([{ type: 'basket', id: 'a' }], 500);
    let stop!: () => void;
    const stopped = new Promise<void>((resolve) => (stop = resolve));
    const failing = turns.take('a', true, async (failWaiting) => {
      await stopped;
      failWaiting(locked);
      throw locked;
    });
    const waiting = [1, 2].map(() => turns.take('a', true, async () => 'done'));
    const refused = Promise.allSettled([failing, ...waiting]);
    await settled();
    const later = turns.take('a', true, async () => 'done');
    stop();
    expect(await refused).toEqual(
      Array.from({ length: 3 }, () => ({ status: 'rejected', reason: locked })),
    );
    expect(await later).toBe('done');
    expect(turns.size).toBe(0);
  });

  it('end after a while even if the use does not, so that a hanging one blocks no other', async () => {
    const turns = new AggregateTurns(20);
    const begun: string[] = [];
    const [hanging, next, last] = ['hanging', 'next', 'last'].map((name) => lasting(name, begun));
    const hung = turns.take('a', true, hanging!.use);
    const after = turns.take('a', true, next!.use);
    next!.end();
    await after;
    last!.end();
    await turns.take('a', true, last!.use);
    expect(begun).toEqual(['hanging', 'next', 'last']);
    expect(turns.size).toBe(1);
    hanging!.end();
    await hung;
    expect(turns.size).toBe(0);
  });

  it('without a wait begin at once, and those that come later wait for them', async () => {
    const turns = new AggregateTurns();
    const begun: string[] = [];
    const [first, urgent, later] = ['first', 'urgent', 'later'].map((name) => lasting(name, begun));
    const all = [turns.take('a', true, first!.use)];
    await settled();
    all.push(turns.take('a', false, urgent!.use), turns.take('a', true, later!.use));
    await settled();
    expect(begun).toEqual(['first', 'urgent']);
    first!.end();
    await settled();
    expect(begun).toEqual(['first', 'urgent']);
    urgent!.end();
    await settled();
    expect(begun).toEqual(['first', 'urgent', 'later']);
    later!.end();
    await Promise.all(all);
  });
});
