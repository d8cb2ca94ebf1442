import { describe, expect, it } from '@jest/globals';
import {
  ConsumerHost,
  type ConsumerHostParts,
} from '../../../../lib/subscriptions/running/consumer-host.ts';
import { consumer } from '../../../support/consumers.ts';
import { eventually } from '../../../support/eventually.ts';
import { tally } from '../../../support/tally.ts';

describe('ConsumerHost', () => {
  it('leaves nothing running if it is stopped while it starts', async () => {
    const calls: string[] = [];
    const called = (name: string) => async (): Promise<void> => void calls.push(name);
    let connected = (): void => undefined;
    const connecting = new Promise<void>((resolve) => (connected = resolve));
    const parts = {
      store: { onAppended: () => () => calls.push('unsubscribe') },
      registry: { register: called('register') },
      generations: { prepare: called('prepare') },
      checkpoints: { release: called('release'), hold: called('hold') },
      signals: {
        start: () => (calls.push('connect'), connecting),
        announce: () => undefined,
        stop: called('close'),
      },
      storedTypes: () => [],
    };
    const host = new ConsumerHost(parts as unknown as ConsumerHostParts, {
      leaseMs: 60_000,
      pollIntervalMs: 60_000,
    });
    const timers = activeTimers();
    const starting = host.start([consumer('slow', async () => undefined)]);
    await eventually(() => calls.includes('connect'));
    const stopping = host.stop();
    connected();
    await Promise.all([starting, stopping]);
    expect(calls).toEqual(['register', 'prepare', 'connect', 'unsubscribe', 'release', 'close']);
    // Those of earlier specs in this process may have ended meanwhile.
    expect(activeTimers()).toBeLessThanOrEqual(timers);
    tally('F2');
  });
});

const activeTimers = (): number =>
  process.getActiveResourcesInfo().filter((each) => each === 'Timeout').length;
