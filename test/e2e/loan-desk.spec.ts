import { randomUUID } from 'node:crypto';
import type { Server } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Consumers, DomainEvent } from 'nest-event-store';
import request from 'supertest';
import { DataSource } from 'typeorm';
import { AppModule } from '../../sample-app/app.module.ts';
import { LoanApplication } from '../../sample-app/applications/loan-application.ts';
import { DeskClock } from '../../sample-app/deadlines/desk-clock.ts';
import { OverdueOffers } from '../../sample-app/deadlines/overdue-offers.ts';
import { configureHttp } from '../../sample-app/http/configure-http.ts';
import { untilCaughtUp } from '../../sample-app/playback/caught-up.ts';
import { rebuildReport } from '../../sample-app/reports/rebuild-report.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { openStore } from '../support/store.ts';

let database: TestDatabase;
let app: INestApplication<Server>;

async function startApp(): Promise<INestApplication<Server>> {
  const started = await NestFactory.create<INestApplication<Server>>(
    AppModule.forRoot({ url: database.url, schema: 'loan_desk' }),
    { logger: false },
  );
  configureHttp(started);
  return started.init();
}

beforeAll(async () => {
  database = await createTestDatabase();
  app = await startApp();
});

afterAll(async () => {
  await app?.close();
  await database?.drop();
});

const http = () => request(app.getHttpServer());

const steps = [
  'partly-submit',
  'preaccept',
  'accept',
  'finalize',
  'offers/select',
  'offers/create',
  'offers/send',
  'offers/send-back',
  'offers/accept',
  'approve',
];

/** Submits an application and takes it up to a step, which is its last one. */
async function toStep(last: string, amount?: number): Promise<string> {
  const id = await submit(amount);
  for (const step of steps.slice(0, steps.indexOf(last) + 1)) {
    await http().post(`/applications/${id}/${step}`).expect(200);
  }
  return id;
}

@DomainEvent('offer.created', { dates: ['at'] })
class UnnumberedOfferCreated {
  constructor(readonly at: Date) {}
}

async function submit(amount = 9000): Promise<string> {
  const response = await http().post('/applications').send({ amount }).expect(201);
  return response.body.id;
}

describe('submitting an application', () => {
  it('answers 201 with its place and its version as ETag', async () => {
    const response = await http().post('/applications').send({ amount: 5000 }).expect(201);
    expect(response.headers).toMatchObject({
      etag: '"1"',
      location: `/applications/${response.body.id}`,
    });
    expect(response.body).toMatchObject({ amount: 5000, status: 'submitted', version: 1 });
  });

  it('is recorded once when the request is repeated with its Idempotency-Key', async () => {
    const key = randomUUID();
    const again = () =>
      http()
        .post('/applications')
        .set('Idempotency-Key', key)
        .send({ amount: 700, submittedAt: '2026-03-01T09:00:00+01:00' });
    const first = await again().expect(201);
    await http().post(`/applications/${key}/partly-submit`).expect(200);
    const second = await again().expect(201);
    expect(second.body).toEqual(first.body);
    await again().send({ amount: 800 }).expect(409);
    const events = await http().get(`/applications/${key}/events`).expect(200);
    expect(events.body).toHaveLength(2);
  });

  it.each([
    ['no body', undefined],
    ['no amount', {}],
    ['a negative amount', { amount: -1 }],
    ['a fraction', { amount: 0.5 }],
    ['an amount as text', { amount: '5000' }],
    ['an unknown member', { amount: 5000, rate: 3 }],
    ['a time that is none', { amount: 5000, submittedAt: 'yesterday' }],
  ])('refuses %s with 400', async (_, body) => {
    const response = await http().post('/applications').send(body).expect(400);
    expect(response.body.message).not.toHaveLength(0);
  });

  it('refuses an Idempotency-Key that is no UUID, or without the time of submission', async () => {
    const post = (key: string) => http().post('/applications').set('Idempotency-Key', key);
    await post('again').send({ amount: 1, submittedAt: '2026-03-01T09:00:00Z' }).expect(400);
    await post(randomUUID()).send({ amount: 1 }).expect(400);
  });
});

describe('an application', () => {
  it('is shown with its version as ETag, and not again to a client that has it', async () => {
    const id = await submit();
    const response = await http().get(`/applications/${id}`).expect(200);
    expect(response.headers['etag']).toBe('"1"');
    await http().get(`/applications/${id}`).set('If-None-Match', '"1"').expect(304);
  });

  it('goes through its steps, offers and work items', async () => {
    const id = await submit();
    const steps = [
      'partly-submit',
      'preaccept',
      'work-items/complete-application/schedule',
      'work-items/complete-application/start',
      'accept',
      'finalize',
      'offers/select',
      'offers/create',
      'offers/send',
      'offers/send-back',
      'offers/accept',
      'approve',
      'register',
      'activate',
      'work-items/complete-application/complete',
      'work-items/change-contract/schedule',
    ];
    for (const step of steps) await http().post(`/applications/${id}/${step}`).expect(200);
    const { body } = await http().get(`/applications/${id}`).expect(200);
    expect(body).toMatchObject({
      status: 'granted',
      granted: ['approved', 'registered', 'activated'],
      offers: { outcome: 'accepted' },
      workItems: { 'change-contract': { open: 1, inWork: 0 } },
      version: steps.length + 1,
    });
  });

  it('shows what happened to it, page by page, and by which actor', async () => {
    const id = await submit();
    await http().post(`/applications/${id}/partly-submit`).set('X-Actor', 'anna').expect(200);
    const { body } = await http().get(`/applications/${id}/events?after=1&limit=5`).expect(200);
    expect(body).toMatchObject([
      { version: 2, type: 'loan-application.partly-submitted', metadata: { actor: 'anna' } },
    ]);
    expect(body[0].metadata.correlationId).toEqual(expect.any(String));
  });

  it('refuses what its rules forbid with 422 and the reason', async () => {
    const id = await submit();
    const { body } = await http().post(`/applications/${id}/approve`).expect(422);
    expect(body).toMatchObject({
      error: 'RULE_VIOLATION',
      message: expect.stringContaining('no offer that the customer has agreed to'),
    });
  });

  it('is 404 if there is none, 400 if its id or the step cannot be', async () => {
    await http().get('/applications/nobody').expect(404);
    await http().get('/applications/nobody/events').expect(404);
    await http().post('/applications/nobody/accept').expect(404);
    await http().get('/applications/a%00b').expect(400);
    await http()
      .get(`/applications/${'x'.repeat(65)}`)
      .expect(400);
    await http().post('/applications/nobody/celebrate').expect(400);
    await http().post('/applications/nobody/work-items/dance/start').expect(400);
    await http().get('/applications/nobody/events?limit=0').expect(400);
  });
});

describe('If-Match', () => {
  it('lets a command through at that version, and answers 409 with the current one otherwise', async () => {
    const id = await submit();
    const cancel = (tag: string) => http().post(`/applications/${id}/cancel`).set('If-Match', tag);
    await http().post(`/applications/${id}/partly-submit`).set('If-Match', '"1"').expect(200);
    const conflict = await cancel('"1"').expect(409);
    expect(conflict.body).toMatchObject({ error: 'WRONG_EXPECTED_VERSION', currentVersion: 2 });
    expect(conflict.headers['etag']).toBe('"2"');
    const cancelled = await cancel('"2"').expect(200);
    expect(cancelled.headers['etag']).toBe('"3"');
  });

  it.each(['W/"1"', '1', '"one"', '"1", "2"', '"-1"', ''])('refuses %s with 400', async (tag) => {
    const id = await submit();
    await http().post(`/applications/${id}/partly-submit`).set('If-Match', tag).expect(400);
  });

  it('lets any version through as *', async () => {
    const id = await submit();
    await http().post(`/applications/${id}/partly-submit`).set('If-Match', '*').expect(200);
  });
});

describe('what no client should send', () => {
  const json = (body: string) =>
    http().post('/applications').set('Content-Type', 'application/json').send(body);

  it.each([
    ['no JSON', '{"amount":'],
    ['null', 'null'],
    ['a number', '5'],
    ['a list', '[{"amount":5000}]'],
    ['a key with NUL', '{"amount":5000,"\\u0000":1}'],
    ['a lone surrogate', '{"amount":5000,"submittedAt":"\\ud800"}'],
    ['1e400', '{"amount":1e400}'],
    ['2^53 + 1', '{"amount":9007199254740993}'],
    ['a time that is too long', `{"amount":1,"submittedAt":"${'1'.repeat(50_000)}"}`],
    ['a depth of 10,000', `{"amount":${'['.repeat(10_000)}${']'.repeat(10_000)}}`],
  ])('as a body is %s: 400', async (_, body) => {
    const response = await json(body).expect(400);
    expect(response.body.message).not.toHaveLength(0);
  });

  it('is a body with keys of Object.prototype: Nest drops them, and nothing is polluted', async () => {
    const keys = '"__proto__":{"amount":1},"constructor":{"prototype":{"amount":2}}';
    const { body } = await json(`{"amount":5000,${keys}}`).expect(201);
    expect(body).toMatchObject({ amount: 5000, version: 1 });
    expect({}).not.toHaveProperty('amount');
  });

  it('is a body of a megabyte: 413', async () => {
    await json(`{"amount":1,"note":"${'x'.repeat(2 ** 20)}"}`).expect(413);
  });

  it.each([
    'get /applications/%00',
    'get /applications/%ED%A0%80',
    'get /applications/%E0%A4%A',
    'get /applications/__proto__%0A',
    'get /applications/%F0%9F%92%B6/events',
    "get /applications/';DROP SCHEMA loan_desk CASCADE;--/letters",
    `get /applications/${'x'.repeat(6_000)}`,
    'get /applications/nobody/events?after=-1',
    'get /applications/nobody/events?after=9007199254740993',
    'get /applications/nobody/events?after=0&after=1',
    'get /applications/nobody/events?limit=NaN',
    'post /applications/nobody/constructor',
    'post /applications/nobody/__proto__',
    'post /applications/nobody/offers/toString',
    'post /applications/nobody/work-items/__proto__/start',
    'post /applications/nobody/work-items/change-contract/hasOwnProperty',
  ])('is %s: 400', async (line) => {
    const [method, ...path] = line.split(' ');
    const send = method === 'get' ? http().get.bind(http()) : http().post.bind(http());
    await send(path.join(' ').replaceAll(' ', '%20')).expect(400);
  });

  it.each([
    ['If-Match', '"9007199254740993"'],
    ['If-Match', '"1e3"'],
    ['Idempotency-Key', '__proto__'],
    ['Event-Position', '9007199254740993'],
  ])('is %s: %s: 400', async (header, value) => {
    const id = await submit();
    const sent =
      header === 'Event-Position'
        ? http().get(`/applications/${id}`)
        : http().post(header === 'If-Match' ? `/applications/${id}/accept` : '/applications');
    await sent
      .set(header, value)
      .send(header === 'Idempotency-Key' ? { amount: 1, submittedAt: '2026-03-01T09:00:00Z' } : {})
      .expect(400);
  });

  it('is a name of an actor that is any text a header can carry: it is kept as it came', async () => {
    const id = await submit();
    const actor = '\'; DROP TABLE "domain_events"; -- ÿ __proto__ \\u0000';
    await http().post(`/applications/${id}/partly-submit`).set('X-Actor', actor).expect(200);
    const { body } = await http().get(`/applications/${id}/events?after=1`).expect(200);
    expect(body[0].metadata.actor).toBe(actor);
  });
});

describe('the number of an offer', () => {
  const create = (id: string, body?: object) =>
    http().post(`/applications/${id}/offers/create`).send(body);

  it('is made of the id of the application, or given', async () => {
    const id = await toStep('offers/select');
    await create(id).expect(200);
    const other = await toStep('offers/select');
    const given = `offer-of-${other}`;
    await create(other, { number: given }).expect(200);
    expect(await numberOf(id)).toBe(`${id}-1`);
    expect(await numberOf(other)).toBe(given);
    await create(other, { number: 'a b' }).expect(400);
  });

  it('is given once: another offer of that number is refused with 409 and not recorded', async () => {
    const ids = [await toStep('offers/select'), await toStep('offers/select')];
    const number = `offer-of-${ids[0]}`;
    const answers = await Promise.all(ids.map((id) => create(id, { number })));
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 409]);
    const refused = answers.findIndex(({ status }) => status === 409);
    expect(answers[refused]?.body).toMatchObject({
      error: 'OFFER_NUMBER_TAKEN',
      message: expect.stringContaining(number),
    });
    const { body } = await http().get(`/applications/${ids[refused]}`).expect(200);
    expect(body).toMatchObject({ offers: { prepared: 'selected' }, version: 6 });
    await create(ids[refused]!).expect(200);
  });

  it('is missing from offers of the time before, which go on as all others', async () => {
    const id = await toStep('offers/select');
    const past = await openStore(await database.dataSource(), {
      schema: 'loan_desk',
      events: [UnnumberedOfferCreated],
    });
    await past.append(LoanApplication.ref(id), [new UnnumberedOfferCreated(new Date())]);
    await http().post(`/applications/${id}/offers/send`).expect(200);
    expect(await numberOf(id)).toBeNull();
  });

  async function numberOf(id: string): Promise<unknown> {
    const { body } = await http().get(`/applications/${id}/events`).expect(200);
    return body.find((each: { type: string }) => each.type === 'offer.created').event.number;
  }
});

describe('the letters to an applicant', () => {
  it('follow what happens, one for each event, and are not written again', async () => {
    const id = await toStep('offers/send');
    const letters = async () => {
      const { body } = await http().get(`/applications/${id}/letters`).expect(200);
      return body.map(({ text }: { text: string }) => text);
    };
    await http().post(`/applications/${id}/decline`).set('Prefer', 'wait').expect(200);
    expect(await letters()).toEqual([
      expect.stringContaining('our offer'),
      expect.stringContaining('cannot grant'),
    ]);

    await app.get(DataSource).query('DELETE FROM letters WHERE application_id = $1', [id]);
    await app.get(Consumers).reset('letters', 0);
    await untilCaughtUp(app);
    expect(await letters()).toEqual([]);
  });
});

describe('an offer that is not answered', () => {
  it('expires when its time is over, and closes the application', async () => {
    const id = await toStep('offers/send');
    const answered = await toStep('offers/send-back');
    await untilCaughtUp(app);
    await app.get(OverdueOffers).expire();
    expect((await http().get(`/applications/${id}`)).body.status).toBe('finalized');

    app.get(DeskClock).putForward(30);
    await app.get(OverdueOffers).expire();
    const history = () => http().get(`/applications/${id}/events?after=8`).expect(200);
    await eventually(async () => (await history()).body.length === 2);
    const { body } = await history();
    expect(body).toMatchObject([{ type: 'offer.expired' }, { type: 'loan-application.cancelled' }]);
    expect(body[1].event.at).toBe(body[0].event.at);
    expect((await http().get(`/applications/${answered}`)).body.status).toBe('finalized');
  });
});

describe('the report', () => {
  it('shows a write to a client that waited for it, or names its position', async () => {
    await untilCaughtUp(app);
    const before = await http().get('/report').expect(200);
    const { body } = await http()
      .post('/applications')
      .set('Prefer', 'wait')
      .send({ amount: 1234 })
      .expect(201);
    const waited = await http().get('/report').expect(200);
    const later = await http().post(`/applications/${body.id}/partly-submit`).expect(200);
    const asked = await http()
      .get('/report')
      .set('Event-Position', later.headers['event-position']!)
      .expect(200);
    const { applications, amountRequested, events } = before.body;
    const more = { applications: applications + 1, amountRequested: amountRequested + 1234 };
    expect(waited.body).toMatchObject({ ...more, events: events + 1 });
    expect(asked.body).toMatchObject({
      ...more,
      events: events + 2,
      position: Number(later.headers['event-position']),
    });
  });

  it('counts states, amounts and the mean time to approval', async () => {
    await untilCaughtUp(app);
    const { body: before } = await http().get('/report').expect(200);
    await toStep('approve', 500);
    await untilCaughtUp(app);
    const { body } = await http().get('/report').expect(200);
    const { applications, amount } = before.statesReached['approved'] ?? {
      applications: 0,
      amount: 0,
    };
    expect(body.statesReached['approved']).toEqual({
      applications: applications + 1,
      amount: amount + 500,
    });
    expect(body.eventsByType['offer.accepted']).toBe(before.eventsByType['offer.accepted'] + 1);
    expect(body.meanHoursToApproval).toBeGreaterThan(0);
  });

  it('is the same in another application, and after a rebuild', async () => {
    await untilCaughtUp(app);
    const { body } = await http().get('/report').expect(200);
    const other = await startApp();
    const again = await request(other.getHttpServer()).get('/report').expect(200);
    await other.close();
    expect(again.body).toEqual(body);
    const { rebuilt, meanwhile } = await rebuildReport(app, () => undefined);
    for (const report of [...meanwhile, rebuilt]) expect(report).toEqual(body);
  });
});

describe('the description at /api', () => {
  it('names paths, the schema of a submission, and the answers to a command', async () => {
    await http().get('/api').expect(200);
    const { body } = await http().get('/api-json').expect(200);
    const { post } = body.paths['/applications'];
    expect(post.requestBody.content['application/json'].schema).toMatchObject({
      properties: { amount: { type: 'integer', minimum: 0 } },
    });
    const step = body.paths['/applications/{id}/{step}'].post;
    expect(Object.keys(step.responses)).toEqual(['200', '400', '404', '409', '422']);
    expect(step.responses['200'].headers).toHaveProperty('ETag');
  });
});
