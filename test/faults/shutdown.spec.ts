import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually, patiently } from '../support/eventually.ts';
import { killAll, startProcess, type TestProcess } from '../support/processes.ts';
import { random, seed } from '../support/random.ts';
import { countCopies, tally } from '../support/tally.ts';
import type { CounterFunctions, CounterStart, CountRequest } from './harness/counter.process.ts';

type Application = TestProcess<CounterFunctions>;
type Answer = { readonly status: number; readonly position?: number } | 'refused' | 'reset';

describe('an application that is asked to end', () => {
  let database: TestDatabase;
  let port: number;
  beforeEach(async () => {
    database = await createTestDatabase();
    port = await freePort();
  });
  afterEach(async () => {
    await killAll();
    await database.drop();
  });

  /** Starts the application, which can be asked to end from now on, although it does not listen yet. */
  function start(
    options: Pick<CounterStart, 'platform' | 'endsBy' | 'slow'>,
  ): Promise<Application> {
    const file = new URL('./harness/counter.process.ts', import.meta.url);
    return startProcess(file, { ...options, url: database.url, port } satisfies CounterStart);
  }

  async function count(request: CountRequest): Promise<Answer> {
    try {
      const response = await fetch(`http://127.0.0.1:${port}/count`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', connection: 'close' },
        body: JSON.stringify(request),
        signal: AbortSignal.timeout(patiently.timeoutMs),
      });
      const { status } = response;
      return { status, ...((await response.json()) as { position?: number }) };
    } catch (error) {
      const { code } = (error as { cause?: { code?: string } }).cause ?? {};
      if (code === 'ECONNREFUSED') return 'refused';
      if (code === 'ECONNRESET' || code === 'UND_ERR_SOCKET') return 'reset';
      throw error;
    }
  }

  /** Sends one short request after the other, until asked to stop and refused; returns their answers. */
  function knock(): () => Promise<readonly Answer[]> {
    const answers: Answer[] = [];
    let isOver = false;
    const knocking = (async () => {
      for (; !isOver || answers.at(-1) !== 'refused'; await delay(10)) {
        answers.push(await count({ counter: 'knock', by: 'append', beforeMs: 0, afterMs: 0 }));
      }
    })();
    return async () => {
      isOver = true;
      await knocking;
      return answers;
    };
  }

  /** A second signal must neither end it at once nor begin a second shutdown. */
  async function stopTwice(application: Application): Promise<void> {
    process.kill(application.pid, 'SIGTERM');
    await application.stop();
  }

  async function stored(type: string): Promise<{ position: number; id: string }[]> {
    const dataSource = await database.dataSource();
    return dataSource.query(
      `SELECT e.position::float8, g.id
       FROM event_store.domain_events AS e JOIN event_store.aggregates AS g ON g.key = e.aggregate_key
       WHERE g.type = $1 ORDER BY e.position`,
      [type],
    );
  }

  async function expectConsumersAtRest(): Promise<void> {
    const dataSource = await database.dataSource();
    const restless = `SELECT * FROM event_store.checkpoints WHERE owner <> '' OR error <> ''`;
    expect(await dataSource.query(restless)).toEqual([]);
  }

  it.each([
    { platform: 'express', endsBy: 'close' },
    { platform: 'fastify', endsBy: 'close' },
    { platform: 'fastify', endsBy: 'hooks' },
  ] as const)(
    'answers requests in flight, stores what it answers, and ends well ($platform, $endsBy)',
    async ({ platform, endsBy }) => {
      const choices = random(seed());
      const stopKnocking = knock();
      const application = await start({ platform, endsBy });
      const first = { counter: 'first', by: 'append', beforeMs: 0, afterMs: 0 } as const;
      await eventually(async () => (await count(first)) !== 'refused');

      let answered = 0;
      const requests = Array.from({ length: 60 }, async (_, n) => {
        const answer = await count({
          counter: `${n % 20}`,
          by: choices.pick(['append', 'append', 'appendAll', 'transaction']),
          isHeld: n >= 15,
          beforeMs: choices.integer(0, 500),
          afterMs: choices.integer(0, 100),
        });
        answered += 1;
        return answer;
      });
      await eventually(() => answered === 15);
      // All other requests are in progress when the application is asked to end, on any machine.
      await eventually(async () => (await application.call.held()) === 45);
      await application.call.letGo();
      await (endsBy === 'hooks' ? stopTwice(application) : application.stop());
      const inFlight = await Promise.all(requests);
      const knocks = await stopKnocking();

      expect(inFlight.filter((answer) => statusOf(answer) !== 201)).toEqual([]);
      const positions = (await stored('counter')).map(({ position }) => position);
      const promised = [...inFlight, ...knocks].flatMap(position);
      tally('F2', { acknowledged: promised.length, ...countCopies(promised, positions) });
      expect(positions).toEqual(expect.arrayContaining(promised));
      // No request is answered before it is ready, and none after its server has closed.
      expect(knocks.map(statusOf).join(' ')).toMatch(/^(refused )+(201 )+((reset|503) )*refused/);
      expect((await stored('hook')).map(({ id }) => id)).toEqual(hooks);
      await expectConsumersAtRest();
      expect(application.output).toBe('');
    },
  );

  it.each([
    { platform: 'express', endsBy: 'close', slow: 'onModuleInit' },
    { platform: 'fastify', endsBy: 'hooks', slow: 'onApplicationBootstrap' },
  ] as const)(
    'while it starts leaves nothing running, and ends well ($platform, $endsBy, $slow)',
    async (how) => {
      const application = await start(how);
      await eventually(() => application.call.isStarting());
      await (how.endsBy === 'hooks' ? stopTwice(application) : application.stop());
      tally('F2');
      expect((await stored('hook')).map(({ id }) => id)).toEqual(hooks);
      await expectConsumersAtRest();
      expect(application.output).toBe('');
    },
  );
});

const hooks = ['onModuleDestroy', 'beforeApplicationShutdown', 'onApplicationShutdown'];

const statusOf = (answer: Answer): number | string =>
  typeof answer === 'string' ? answer : answer.status;

const position = (answer: Answer): number[] =>
  typeof answer === 'string' || answer.position === undefined ? [] : [answer.position];

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
