import { randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { useLoanDesk } from './use-loan-desk.ts';

const { http, submit } = useLoanDesk();

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
    ['an invalid time', { amount: 5000, submittedAt: 'yesterday' }],
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
  it('is shown with its version as ETag, and with 304 to a client that has this version', async () => {
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

  it('answers 404 if it does not exist, and 400 if its id or the step is invalid', async () => {
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
