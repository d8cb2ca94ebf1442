import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import type { Consumer } from '../../lib/subscriptions/consumer.ts';
import { noRetry } from '../../lib/subscriptions/retry-policy.ts';
import { discardParked } from '../../lib/postgres/subscriptions/parked-events.sql.ts';
import { consumer, startConsumers, type TestProcess } from '../support/consumers.ts';
import { eventually } from '../support/eventually.ts';
import { createTestRoles, type TestRoles } from '../support/roles.ts';
import { Counted, openStore, type TestStore } from '../support/store.ts';
import { startProxy } from '../support/tcp-proxy.ts';

let roles: TestRoles;
let owner: DataSource;
/** With the rights of an application, as all that is asked for here must be within those. */
let dataSource: DataSource;
let store: TestStore;
let schemas = 0;
let processes: TestProcess[] = [];

/** What the consumers have done since the test began. */
let effects: number[];
/** Events that count 13 fail for as long as this is so. */
let broken: boolean;

beforeAll(async () => {
  roles = await createTestRoles();
  owner = await roles.dataSource('owner');
  dataSource = await roles.dataSource('application', { max: 20 });
});

beforeEach(async () => {
  const schema = `control_${++schemas}`;
  await roles.install(schema);
  store = await openStore(dataSource, { schema });
  effects = [];
  broken = true;
});

afterEach(async () => {
  await Promise.all(processes.map((each) => each.stop()));
  processes = [];
});

afterAll(() => roles.drop());

const start = async (consumers: readonly Consumer[], options?: { leaseMs: number }) => {
  const started = await startConsumers(dataSource, store, consumers, options);
  processes.push(started);
  return started;
};

const append = (id: string, ...by: number[]) =>
  store.append(
    { type: 'counter', id },
    by.map((each) => new Counted(each)),
  );

/** A handler or a projection that parks what fails, and takes no effect again that was replayed. */
const parking = (kind: Consumer['kind'], onCall?: (by: number) => Promise<void>) =>
  consumer(
    'letters',
    async (records, { replayed }) => {
      for (const { event } of records) {
        const { by } = event as Counted;
        await onCall?.(by);
        if (by === 13 && broken) throw new Error('thirteen');
        if (!replayed) effects.push(by);
      }
    },
    { kind, onFailure: 'park', retry: noRetry },
  );

const state = async ({ control }: TestProcess) => (await control.list()).consumers[0]!;

describe('a handler with parked events', () => {
  it('is neither rebuilt nor reset before they are dealt with, as their effects would be lost', async () => {
    const { control } = await start([parking('handler')]);
    await control.waitFor('letters', (await append('a', 1, 13, 2)).position);
    await expect(control.rebuild('letters')).rejects.toThrow(
      "The consumer 'letters' has 2 parked events, whose effects would be lost. Call " +
        "retryParked('letters'), or discardParked for what parked('letters') names, before " +
        "rebuild('letters').",
    );
    await expect(control.reset('letters', 0)).rejects.toThrow('has 2 parked events');
    broken = false;
    await control.retryParked('letters');
    await eventually(async () => (await control.parked('letters')).length === 0);
    await control.rebuild('letters');
    expect(effects).toEqual([1, 13, 2]);
  });

  it('stays in use until those are dealt with that it has parked during its rebuild', async () => {
    let arrived = false;
    let letThrough = (): void => undefined;
    const gate = new Promise<void>((resolve) => (letThrough = resolve));
    const letters = await start(
      [
        parking('handler', async (by) => {
          if (by !== 13 || !broken) return;
          arrived = true;
          await gate;
        }),
      ],
      { leaseMs: 300 },
    );
    const { control } = letters;
    await control.waitFor('letters', (await append('a', 1)).position);
    const { position } = await append('a', 13);
    await eventually(() => arrived);
    await control.rebuild('letters');
    // Halted with the event in hand, it parks that before it lets go.
    await eventually(async () => (await state(letters)).status === 'replaced');
    letThrough();
    await eventually(async () => {
      const next = (await state(letters)).partitions.find(({ generation }) => generation === 2);
      return /ConsumerStateError: .* has 1 parked event,.* before its rebuild takes over\.$/.test(
        next!.error!.message,
      );
    });
    await control.waitFor('letters', (await append('b', 2)).position);
    expect((await state(letters)).generation).toBe(1);
    broken = false;
    await control.retryParked('letters');
    await eventually(async () => (await state(letters)).generation === 2);
    await control.waitFor('letters', (await append('b', 3)).position);
    expect(effects).toEqual([1, 2, 13, 3]);
    expect(position).toBe(2);
  });
});

describe('a projection with parked events', () => {
  it('has them applied by its rebuild', async () => {
    const letters = await start([parking('projection')]);
    await letters.control.waitFor('letters', (await append('a', 1, 13, 2)).position);
    broken = false;
    await letters.control.rebuild('letters');
    await eventually(async () => (await state(letters)).generation === 2);
    expect((await state(letters)).parkedEvents).toBe(0);
  });
});

/** How many sessions wait for a lock. */
async function waiting(): Promise<number> {
  const [row] = await dataSource.query(
    `SELECT count(*)::integer AS n FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock'`,
  );
  return row.n;
}

/** Asks for something while a consumer is about to commit that it has parked an event. */
async function askDuringPark<T>(
  letters: TestProcess,
  appendEvent: () => Promise<unknown>,
  ask: () => Promise<T>,
): Promise<T> {
  let answer: Promise<T> | undefined;
  let isSettled = false;
  // It has nothing else to write.
  await eventually(async () => (await state(letters)).status === 'live');
  await owner.transaction(async (manager) => {
    // The transaction that parks ends with the checkpoint, which it has to wait for.
    await manager.query(`SELECT FROM "${store.schema}".checkpoints FOR UPDATE`);
    await appendEvent();
    await eventually(async () => (await waiting()) === 1);
    answer = ask();
    const settled = () => (isSettled = true);
    answer.then(settled, settled);
    await eventually(async () => isSettled || (await waiting()) === 2);
  });
  return answer!;
}

describe('what is asked while an event is being parked', () => {
  it('is a discard of the one before it: then it is tried itself', async () => {
    const letters = await start([parking('projection')], { leaseMs: 60_000 });
    const { control } = letters;
    const { position } = await append('a', 13);
    await control.waitFor('letters', position);
    await askDuringPark(
      letters,
      () => append('a', 2),
      () => control.discardParked('letters', position),
    );
    await eventually(async () => (await control.parked('letters')).length === 0);
    expect(effects).toEqual([2]);
  });

  it('is a reset: it is refused', async () => {
    const letters = await start([parking('handler')], { leaseMs: 60_000 });
    const asked = askDuringPark(
      letters,
      () => append('a', 13),
      () => letters.control.reset('letters', 0),
    );
    await expect(asked).rejects.toThrow('has 1 parked event,');
  });
});

describe('a parked event that fails again while it is being discarded', () => {
  it('does not keep the one after it from being tried', async () => {
    let isTriedAgain = false;
    let fail = (): void => undefined;
    const gate = new Promise<void>((resolve) => (fail = resolve));
    const letters = await start([
      parking('handler', async (by) => {
        if (by !== 13 || !broken) return;
        const [parked] = await letters.control.parked('letters');
        if (!parked) return;
        isTriedAgain = true;
        await gate;
      }),
    ]);
    const { control } = letters;
    const { position } = await append('a', 13);
    await control.waitFor('letters', (await append('a', 2)).position);
    await control.retryParked('letters');
    await eventually(() => isTriedAgain);
    await owner.transaction(async (manager) => {
      await manager.query(discardParked(store.schema), ['letters', position, null, null]);
      fail();
      await eventually(async () => (await waiting()) === 1);
    });
    await eventually(async () => (await control.parked('letters')).length === 0);
    expect(effects).toEqual([2]);
  });
});

/** A consumer that stops at events that count 13, or does with them what its policy says. */
const stopping = (options: Parameters<typeof consumer>[2] = {}) =>
  consumer(
    'letters',
    async (records) => {
      for (const { event } of records) {
        const { by } = event as Counted;
        if (by === 13 && broken) throw new Error('thirteen');
        effects.push(by);
      }
    },
    { kind: 'handler', retry: noRetry, ...options },
  );

const stopped = (process: TestProcess) =>
  eventually(async () => (await state(process)).status === 'stopped');

describe('an event that is given up', () => {
  const counter = (id: string) => ({ type: 'counter', id });

  it('by skip is the one that the consumer has stopped at, and the consumer continues after it', async () => {
    const letters = await start([stopping()]);
    const { control } = letters;
    const { position, records } = await append('a', 1, 13, 2);
    await stopped(letters);
    await expect(control.skip('letters', position)).rejects.toThrow(
      `The consumer 'letters' has stopped at position ${position - 1}, not at ${position}. Call ` +
        `skip('letters', ${position - 1}) if that event is to be left out.`,
    );
    await control.skip('letters', position - 1, { by: 'Ada', reason: 'sent by hand' });
    await control.waitFor('letters', position);
    expect(effects).toEqual([1, 2]);
    expect(await control.skipped('letters')).toEqual([
      {
        position: position - 1,
        eventId: records[1]!.id,
        aggregate: counter('a'),
        generation: 1,
        cause: 'skip',
        reason: 'sent by hand',
        error: 'Error: thirteen',
        failures: 1,
        by: 'Ada',
        at: expect.any(Date),
      },
    ]);
    await expect(control.skip('letters', position - 1)).rejects.toThrow(
      "The consumer 'letters' has not stopped, so there is no event to skip.",
    );
  });

  it('by skip of a partition or of a rebuild lets that go on, and no other', async () => {
    broken = false;
    const letters = await start([stopping({ kind: 'projection', batchSize: 2 })]);
    const { control } = letters;
    const { position } = await append('a', 1, 13, 2);
    await control.waitFor('letters', position);
    broken = true;
    await control.rebuild('letters');
    const next = async () =>
      (await state(letters)).partitions.find(({ generation }) => generation === 2)!;
    await eventually(async () => (await next()).status === 'stopped');
    await control.skip('letters', position - 1);
    await eventually(async () => (await state(letters)).generation === 2);
    expect(await control.skipped('letters')).toMatchObject([
      { generation: 2, position: position - 1, reason: 'skip()', by: roles.names.application },
    ]);
  });

  it('by skip is the event that the consumer has seen, not another one at its position', async () => {
    const letters = await start([stopping()]);
    const { control } = letters;
    const { position } = await append('a', 13);
    await stopped(letters);
    // As after a failover to a standby that had not received the event, and another append.
    const superuser = await roles.database.dataSource();
    await superuser.query(`
      SET session_replication_role = replica;
      UPDATE "${store.schema}".domain_events SET event_id = gen_random_uuid()`);
    await superuser.destroy();
    await expect(control.skip('letters', position)).rejects.toThrow(
      `has stopped at position ${position}, and the log no longer has that event there.`,
    );
    expect(await state(letters)).toMatchObject({ status: 'stopped', position: 0 });
    expect(await control.skipped('letters')).toEqual([]);
  });

  it('by skip is refused where no event is to blame', async () => {
    const hooks = {
      prepare: () => {
        if (broken) throw new Error('no table');
      },
    };
    await expect(start([stopping({ kind: 'projection', hooks })])).rejects.toThrow('no table');
    broken = false;
    const letters = await start([stopping({ kind: 'projection', hooks })]);
    broken = true;
    await letters.control.rebuild('letters');
    await eventually(async () => (await state(letters)).partitions.at(-1)!.status === 'stopped');
    await expect(letters.control.skip('letters', 1)).rejects.toThrow(
      "The consumer 'letters' has stopped, but no event is to blame: Error: no table.",
    );
  });

  it('by the policy is kept with its error and the process, in the transaction that passes it', async () => {
    const letters = await start([stopping({ onFailure: 'skip' })]);
    const { control } = letters;
    await control.waitFor('letters', (await append('a', 1, 13, 2)).position);
    expect(effects).toEqual([1, 2]);
    const { owner } = (await state(letters)).partitions[0]!;
    expect(await control.skipped('letters')).toMatchObject([
      { position: 2, cause: 'policy', error: 'Error: thirteen', failures: 1, by: owner },
    ]);
  });

  it('by discardParked is kept, the last one first', async () => {
    const { control } = await start([stopping({ onFailure: 'park' })]);
    await control.waitFor('letters', (await append('a', 13)).position);
    await control.waitFor('letters', (await append('b', 13)).position);
    await control.discardParked('letters', 1);
    await control.discardParked('letters', 2, { by: 'Ada', reason: 'a test' });
    expect(await control.skipped('letters')).toMatchObject([
      { aggregate: counter('b'), cause: 'discard', by: 'Ada', reason: 'a test' },
      {
        aggregate: counter('a'),
        cause: 'discard',
        by: roles.names.application,
        reason: 'discardParked()',
        error: 'Error: thirteen',
      },
    ]);
    expect(await control.skipped('letters', { limit: 1 })).toHaveLength(1);
  });

  it('has a reason and a name that can be stored', async () => {
    const { control } = await start([stopping()]);
    for (const options of [{ by: '' }, { reason: 'a\0' }, { why: 'x' }]) {
      await expect(control.skip('letters', 1, options as object)).rejects.toThrow(TypeError);
    }
  });
});

describe('a consumer that is forgotten', () => {
  it('is removed with what it has parked, which is kept as skipped, and begins again as a new one', async () => {
    const letters = await start([stopping({ onFailure: 'park' })]);
    const { control } = letters;
    await control.waitFor('letters', (await append('a', 1, 13, 2)).position);
    const { owner } = (await state(letters)).partitions[0]!;
    await expect(control.forget('letters')).rejects.toThrow(
      `The consumer 'letters' is run by ${owner}. Stop those processes,`,
    );
    await letters.stop();
    await control.forget('letters', { by: 'Ada' });
    expect((await control.list()).consumers).toEqual([]);
    expect(await control.skipped('letters')).toMatchObject([
      { position: 3, cause: 'forget', error: null, failures: 0 },
      { position: 2, cause: 'forget', error: 'Error: thirteen', by: 'Ada' },
    ]);
    await expect(control.forget('letters')).rejects.toMatchObject({ code: 'UNKNOWN_CONSUMER' });
    broken = false;
    await (await start([stopping()])).control.waitFor('letters', 3);
    expect(effects).toEqual([1, 1, 13, 2]);
  });

  it('is run by no process, not even one that has held nothing of it so far', async () => {
    const first = await start([stopping()]);
    const second = await start([stopping()]);
    const { control } = first;
    await expect(control.forget('letters')).rejects.toThrow(/is run by \S+, \S+\. Stop those/);
    await first.stop();
    await expect(control.forget('letters')).rejects.toThrow(/is run by [^\s,]+\. Stop those/);
    await second.stop();
    await control.forget('letters');
  });

  it('is not one that a process is about to run', async () => {
    let letThrough = (): void => undefined;
    const gate = new Promise<void>((resolve) => (letThrough = resolve));
    let arrived = false;
    const hooks = {
      prepare: async () => {
        arrived = true;
        await gate;
      },
    };
    const starting = start([stopping({ kind: 'projection', hooks })]);
    await eventually(() => arrived);
    const { control } = await start([]);
    const forgetting = control.forget('letters').catch((error: unknown) => error);
    letThrough();
    await starting;
    expect(await forgetting).toMatchObject({ code: 'CONSUMER_STATE' });
    await control.waitFor('letters', (await append('a', 1)).position);
  });
});

describe('a position', () => {
  it('to rebuild from lies no further than what was handled', async () => {
    const letters = await start([parking('handler')]);
    const { control } = letters;
    await control.waitFor('letters', (await append('a', 1, 2)).position);
    await control.pause('letters');
    await eventually(async () => (await state(letters)).status === 'paused');
    await append('a', 3, 4);
    await expect(control.rebuild('letters', { from: 3 })).rejects.toThrow(
      "The consumer 'letters' has come to position 2, and a rebuild that begins after 3 would " +
        "leave out what lies between. Call rebuild('letters', { from }) with 2 or less.",
    );
    expect((await state(letters)).rebuild).toBeNull();
    await control.rebuild('letters', { from: 2 });
    await control.resume('letters');
    await eventually(async () => (await state(letters)).generation === 2);
    await eventually(() => effects.join() === '1,2,3,4');
  });

  it('to reset to lies no further than the end of the log', async () => {
    const { control } = await start([parking('handler')]);
    await control.waitFor('letters', (await append('a', 1, 2)).position);
    await expect(control.reset('letters', 3)).rejects.toThrow(
      "The consumer 'letters' cannot be put to position 3: the log ends at 2.",
    );
    await control.waitFor('letters', (await append('a', 3)).position);
    expect(effects).toEqual([1, 2, 3]);
  });
});

describe('a consumer that was never started', () => {
  it.each(['unheard of', '', 'a\0', 'a\ud800'])(
    'is unknown, whatever its name (%j)',
    async (name) => {
      const { control } = await start([parking('handler')]);
      for (const asked of [
        () => control.waitFor(name, 1),
        () => control.pause(name),
        () => control.resume(name),
        () => control.reset(name, 0),
        () => control.rebuild(name),
        () => control.cancelRebuild(name),
        () => control.parked(name),
        () => control.retryParked(name),
        () => control.discardParked(name, 1),
        () => control.skip(name, 1),
        () => control.skipped(name),
        () => control.forget(name),
      ]) {
        await expect(asked()).rejects.toMatchObject({ consumer: name, known: ['letters'] });
      }
      await control.waitFor('letters', (await append('a', 1)).position);
    },
  );
});

describe('a lost connection', () => {
  it('reports everything to readers, and leaves every decision to operators', async () => {
    await start([parking('handler')]);
    const proxy = await startProxy((dataSource.options as { url: string }).url);
    const proxied = new DataSource({ type: 'postgres', url: proxy.url, installExtensions: false });
    const proxiedStore = await openStore(await proxied.initialize(), { schema: store.schema });
    const { control } = await startConsumers(proxied, proxiedStore, []);
    const lost = async (ask: () => Promise<unknown>): Promise<unknown> => {
      await control.parked('letters');
      proxy.interfere = () => 'lost';
      const error = await ask().catch((thrown: unknown) => thrown);
      proxy.interfere = () => undefined;
      return error;
    };
    const nothing = { code: 'CONNECTION_LOST', outcome: 'not-applied', retryable: true };
    for (const read of [() => control.waitFor('letters', 9), () => control.parked('letters')]) {
      expect(await lost(read)).toMatchObject(nothing);
    }
    const unknown = { ...nothing, outcome: 'unknown' };
    for (const change of [() => control.pause('letters'), () => control.resume('letters')]) {
      expect(await lost(change)).toMatchObject(unknown);
    }
    await proxied.destroy();
    await proxy.close();
  });
});

describe('a wait', () => {
  it('ends in time, also while all connections of the pool are taken', async () => {
    await start([parking('handler')]);
    const { position } = await append('a', 1);
    const single = await roles.dataSource('application', { max: 1 });
    const { control } = await startConsumers(
      single,
      await openStore(single, { schema: store.schema }),
      [],
    );
    // Which holds the only connection until the wait has ended.
    await single.transaction(async () => {
      await expect(control.waitFor('letters', position, { timeoutMs: 200 })).rejects.toThrow(
        "The consumer 'letters' did not reach 1 within 200 ms. The database has not said how far it is",
      );
    });
    await control.waitFor('letters', position);
    const error = await control.waitFor('letters', 9, { timeoutMs: 1 }).catch((thrown) => thrown);
    expect(error).toMatchObject({ code: 'WAIT_TIMEOUT', reached: 1, retryable: true });
  });
});
