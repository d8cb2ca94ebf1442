import { get, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import request from 'supertest';
import { DataSource } from 'typeorm';
import { Consumers, EventStore } from 'nest-event-store';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually, patiently } from '../support/eventually.ts';
import { NoteList, NoteTaken, startNotes } from './notes-application.ts';

let database: TestDatabase;
let application: INestApplication;
let list: NoteList;
let http: ReturnType<typeof request>;
const opened: (() => void)[] = [];
/** What was logged as an error since the last test. */
let errors: unknown[] = [];

const currentPosition = () => application.get(EventStore).currentPosition();

beforeAll(async () => {
  database = await createTestDatabase();
  application = await startNotes(await database.dataSource(), (error) => errors.push(error));
  list = application.get(NoteList);
  http = request(application.getHttpServer());
});
afterEach(async () => {
  for (const open of opened.splice(0)) open();
  await application.get(Consumers).waitFor('notes', await currentPosition(), patiently);
  errors = [];
});
afterAll(async () => {
  await application.close();
  await database.drop();
});

/** Holds the projection before its next note until the test is over, or the function is called. */
function shut(): () => void {
  const open = list.shut();
  opened.push(open);
  return open;
}

/** The server on a port of its own for many requests: supertest makes one for each. */
async function listening(): Promise<Server> {
  const server = application.getHttpServer() as Server;
  // Node's limit for headers would end connections that a slow machine has not read from yet.
  server.headersTimeout = 0;
  if (!server.listening) await application.listen(0, '127.0.0.1');
  return server;
}

let connecting: Promise<unknown> = Promise.resolve();

/** Awaits only the connection before the next request, not the answer: servers queue few connections. */
function statusOf(server: Server, headers: Record<string, string>): Promise<number> {
  const { port } = server.address() as AddressInfo;
  return new Promise((resolve, reject) => {
    connecting = connecting.then(() => {
      const sent = get(
        { port, host: '127.0.0.1', path: '/notes', headers, agent: false },
        (response) => {
          response.resume();
          resolve(response.statusCode!);
        },
      );
      sent.on('error', reject);
      return new Promise<void>((connected) => {
        sent.on('error', () => connected());
        sent.on('socket', (socket) =>
          socket.connecting ? socket.once('connect', connected) : connected(),
        );
      });
    });
  });
}

const take = (path = '/notes', ...texts: string[]) => http.post(path).send({ texts });

/** Sends a request whose answer is expected to wait. */
function unanswered(sent: ReturnType<typeof http.get>) {
  let isAnswered = false;
  const response = sent.then((answer) => {
    isAnswered = true;
    return answer;
  });
  return {
    response,
    /** Two other answers come first, from the same server. */
    async isStillDue(): Promise<void> {
      await http.get('/notes');
      await http.get('/notes');
      expect(isAnswered).toBe(false);
    },
  };
}

describe('A write', () => {
  it('reports the last position it appended, without waiting', async () => {
    shut();
    const { headers, status } = await take('/notes', 'a', 'b');
    expect(status).toBe(201);
    expect(headers['event-position']).toBe(String(await currentPosition()));
    expect(headers['preference-applied']).toBeUndefined();
    expect(list.texts).not.toContain('b');
  });

  it('is answered once it can be read, if the client prefers to wait', async () => {
    const open = shut();
    const answer = unanswered(take('/notes', 'waited').set('Prefer', 'return=minimal, wait=29'));
    await list.reached('waited');
    await answer.isStillDue();
    open();
    const { headers } = await answer.response;
    expect(list.texts).toContain('waited');
    expect(headers['preference-applied']).toBe('wait=29');
  });

  it.each([
    ['wait', 'wait=5'],
    ['Wait = "3"; foo', 'wait=3'],
    ['wait=3600', 'wait=30'],
    ['wait=soon', undefined],
    ['handling="lenient, wait=3"', undefined],
    ['respond-async', undefined],
  ])('understands Prefer: %s', async (prefer, applied) => {
    // Repeated if the consumer was late, as on a busy machine.
    await eventually(async () => {
      const { headers, status } = await take('/notes', prefer).set('Prefer', prefer);
      expect(status).toBe(201);
      expect(headers['preference-applied']).toBe(applied);
      return true;
    });
  });

  it('succeeds and is answered even if the wait was in vain', async () => {
    shut();
    const { headers, status } = await take('/notes', 'late').set('Prefer', 'wait=0');
    expect(status).toBe(201);
    expect(headers['event-position']).toBeDefined();
    expect(headers['preference-applied']).toBeUndefined();
  });

  it('may have its status set by the handler, or be answered by it', async () => {
    const passed = await take('/notes/passthrough', 'p').set('Prefer', 'wait=30');
    expect(passed.status).toBe(202);
    expect(passed.headers['event-position']).toBeDefined();
    expect(passed.headers['preference-applied']).toBe('wait=30');
    const byHand = await take('/notes/by-hand', 'h').set('Prefer', 'wait');
    expect(byHand.body).toEqual({ taken: 1 });
    expect(byHand.headers['event-position']).toBeUndefined();
    await application.get(Consumers).waitFor('notes', await currentPosition(), patiently);
    await http.get('/notes');
    expect(errors).toEqual([]);
  });

  it('that appends nothing, or fails, reports no position', async () => {
    const nothing = await take('/notes').set('Prefer', 'wait');
    expect(nothing.status).toBe(201);
    const faulty = await take('/notes/faulty');
    expect(faulty.status).toBe(500);
    for (const { headers } of [nothing, faulty]) {
      expect(headers['event-position']).toBeUndefined();
      expect(headers['preference-applied']).toBeUndefined();
    }
  });

  it('knows nothing of writes in other requests', async () => {
    const [one, two] = await Promise.all([take('/notes', 'one', 'one more'), take('/notes')]);
    expect(one.headers['event-position']).toBeDefined();
    expect(two.headers['event-position']).toBeUndefined();
  });
});

describe('A read', () => {
  const read = (position: string) => http.get('/notes').set('Event-Position', position);

  it('waits until the writes of the client are there', async () => {
    const open = shut();
    const { headers } = await take('/notes', 'mine');
    const answer = unanswered(read(headers['event-position']!).set('Prefer', 'wait=30'));
    await list.reached('mine');
    await answer.isStillDue();
    open();
    const { body, headers: readHeaders } = await answer.response;
    expect(body.texts).toContain('mine');
    expect(readHeaders['event-position']).toBeUndefined();
  });

  it('gives up after the time the client prefers, and names the consumer that is late', async () => {
    shut();
    const { headers } = await take('/notes', 'not yet');
    const position = headers['event-position']!;
    const { status, body } = await read(position).set('Prefer', 'wait=0');
    expect(status).toBe(503);
    expect(body.message).toContain(`'notes'`);
    expect(body.message).toContain(`did not reach position ${position} within 0 s`);
  });

  it.each(['-1', '1.5', 'abc', '', '1, 2', '9007199254740993'])(
    'refuses the position %j',
    async (position) => {
      const { status, body } = await read(position);
      expect(status).toBe(400);
      expect(body.message).toContain('Event-Position');
    },
  );

  it('is refused at once if the log never gave out its position, however many reads ask', async () => {
    const server = await listening();
    const next = (await currentPosition()) + 1;
    const statuses = await Promise.all(
      Array.from({ length: 2_000 }, (_, at) =>
        statusOf(server, { 'event-position': String(next + at), prefer: 'wait=30' }),
      ),
    );
    expect(new Set(statuses)).toEqual(new Set([400]));
    const { body } = await read('9007199254740991');
    expect(body.message).toContain('Event-Position is ahead of the log');
  });

  it('waits for a position that a transaction has drawn and not committed yet', async () => {
    const open = shut();
    const { position, answer } = await application.get(DataSource).transaction(async (manager) => {
      const drawn = await application
        .get(EventStore)
        .append({ type: 'note', id: 'drawn' }, [new NoteTaken('drawn')], { manager });
      const due = unanswered(read(String(drawn.position)).set('Prefer', 'wait=30'));
      await due.isStillDue();
      return { position: drawn.position, answer: due };
    });
    open();
    const { status, body } = await answer.response;
    expect([status, body.texts.at(-1), position]).toEqual([200, 'drawn', await currentPosition()]);
  });

  it('may name a consumer of another store, and one that is unknown is an error', async () => {
    await http.get('/other').expect(200);
    await http.get('/other/unknown').expect(200);
    await http.get('/other/unknown').set('Event-Position', '1').expect(500);
  });
});

describe('A shutdown', () => {
  it('answers at once what waits for consumers', async () => {
    const other = await createTestDatabase();
    const ending = await startNotes(await other.dataSource());
    const notes = ending.get(NoteList);
    const open = notes.shut();
    await ending.listen(0, '127.0.0.1');
    const server = request(ending.getHttpServer());
    const patient = { Prefer: 'wait=30' };
    const writing = server
      .post('/notes')
      .set(patient)
      .send({ texts: ['last'] });
    const written = writing.then(({ status, headers }) => ({ status, headers }));
    await notes.reached('last');
    const position = String(await ending.get(EventStore).currentPosition());
    const reading = server.get('/notes').set({ ...patient, 'Event-Position': position });
    const answered = reading.then(({ status, body }) => ({ status, body }));
    // Connections are accepted in order, so the server has both by then.
    await server.get('/notes');
    const closing = ending.close();
    expect(await answered).toMatchObject({
      status: 503,
      body: { message: expect.stringContaining('shutting down') },
    });
    const { status, headers } = await written;
    expect(status).toBe(201);
    expect(headers).not.toHaveProperty('preference-applied');
    open();
    await closing;
    await other.drop();
  });
});
