import { describe, expect, it } from '@jest/globals';
import { Consumers, DomainEvent } from 'nest-event-store';
import { DataSource } from 'typeorm';
import { LoanApplication } from '../../../sample-app/applications/loan-application.ts';
import { DeskClock } from '../../../sample-app/deadlines/desk-clock.ts';
import { OverdueOffers } from '../../../sample-app/deadlines/overdue-offers.ts';
import { untilCaughtUp } from '../../../sample-app/playback/caught-up.ts';
import { eventually } from '../../support/eventually.ts';
import { openStore } from '../../support/store.ts';
import { useLoanDesk } from './use-loan-desk.ts';

@DomainEvent('offer.created', { dates: ['at'] })
class UnnumberedOfferCreated {
  constructor(readonly at: Date) {}
}
const desk = useLoanDesk();
const { http, toStep } = desk;

describe('the number of an offer', () => {
  const create = (id: string, body?: object) =>
    http().post(`/applications/${id}/offers/create`).send(body);

  it('is derived from the id of the application, or given', async () => {
    const id = await toStep('offers/select');
    await create(id).expect(200);
    const other = await toStep('offers/select');
    const given = `offer-of-${other}`;
    await create(other, { number: given }).expect(200);
    expect(await numberOf(id)).toBe(`${id}-1`);
    expect(await numberOf(other)).toBe(given);
    await create(other, { number: 'a b' }).expect(400);
  });

  it('is unique: another offer of that number is refused with 409 and not recorded', async () => {
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

  it('is missing from offers made before numbers existed, which proceed like all others', async () => {
    const id = await toStep('offers/select');
    const past = await openStore(await desk.database.dataSource(), {
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

    await desk.app.get(DataSource).query('DELETE FROM letters WHERE application_id = $1', [id]);
    await desk.app.get(Consumers).reset('letters', 0);
    await untilCaughtUp(desk.app);
    expect(await letters()).toEqual([]);
  });
});

describe('an offer that is not answered', () => {
  it('expires when its time is over, and closes the application', async () => {
    const id = await toStep('offers/send');
    const answered = await toStep('offers/send-back');
    await untilCaughtUp(desk.app);
    await desk.app.get(OverdueOffers).expire();
    expect((await http().get(`/applications/${id}`)).body.status).toBe('finalized');

    desk.app.get(DeskClock).putForward(30);
    await desk.app.get(OverdueOffers).expire();
    const history = () => http().get(`/applications/${id}/events?after=8`).expect(200);
    await eventually(async () => (await history()).body.length === 2);
    const { body } = await history();
    expect(body).toMatchObject([{ type: 'offer.expired' }, { type: 'loan-application.cancelled' }]);
    expect(body[1].event.at).toBe(body[0].event.at);
    expect((await http().get(`/applications/${answered}`)).body.status).toBe('finalized');
  });
});
