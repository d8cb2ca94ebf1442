import { describe, expect, it } from '@jest/globals';
import request from 'supertest';
import { untilCaughtUp } from '../../../sample-app/playback/caught-up.ts';
import { rebuildReport } from '../../../sample-app/reports/rebuild-report.ts';
import { useLoanDesk } from './use-loan-desk.ts';

const desk = useLoanDesk();
const { startApp, http, toStep } = desk;

describe('the report', () => {
  it('shows a write to a client that waited for it, or that names its position', async () => {
    await untilCaughtUp(desk.app);
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
    await untilCaughtUp(desk.app);
    const { body: before } = await http().get('/report').expect(200);
    await toStep('approve', 500);
    await untilCaughtUp(desk.app);
    const { body } = await http().get('/report').expect(200);
    const { applications, amount } = before.statesReached['approved'] ?? {
      applications: 0,
      amount: 0,
    };
    expect(body.statesReached['approved']).toEqual({
      applications: applications + 1,
      amount: amount + 500,
    });
    expect(body.eventsByType['offer.accepted']).toBe(
      (before.eventsByType['offer.accepted'] ?? 0) + 1,
    );
    expect(body.meanHoursToApproval).toBeGreaterThan(0);
  });

  it('is the same in another application, and after a rebuild', async () => {
    await untilCaughtUp(desk.app);
    const { body } = await http().get('/report').expect(200);
    const other = await startApp();
    const again = await request(other.getHttpServer()).get('/report').expect(200);
    await other.close();
    expect(again.body).toEqual(body);
    const { rebuilt, meanwhile } = await rebuildReport(desk.app, () => undefined);
    for (const report of [...meanwhile, rebuilt]) expect(report).toEqual(body);
  });
});
