import { beforeEach, describe, expect, it } from '@jest/globals';
import { type EventRecord, InMemoryEventStore } from 'nest-event-store';
import {
  applicationEvents,
  ApplicationApproved,
  ApplicationSubmitted,
} from '../../../sample-app/applications/events/application.events.ts';
import { LoanApplication } from '../../../sample-app/applications/loan-application.ts';
import { ReportKeeper } from '../../../sample-app/reports/report-keeper.ts';

const submittedAt = new Date('2026-03-01T09:00:00Z');
const approvedAt = new Date('2026-03-03T09:00:00Z');

let store: InMemoryEventStore;
let keeper: ReportKeeper;

beforeEach(() => {
  store = new InMemoryEventStore({ events: applicationEvents });
  keeper = new ReportKeeper(store);
});

async function record(id: string, ...events: object[]): Promise<readonly EventRecord[]> {
  const { records } = await store.append(LoanApplication.ref(id), events);
  return records;
}

describe('the report', () => {
  it('counts states, amounts and the mean time to approval', async () => {
    await record(
      '1',
      new ApplicationSubmitted(100, submittedAt),
      new ApplicationApproved(approvedAt),
    );
    await record('2', new ApplicationSubmitted(250, submittedAt));
    expect(await keeper.current()).toMatchObject({
      position: 3,
      applications: 2,
      amountRequested: 350,
      events: 3,
      statesReached: {
        submitted: { applications: 2, amount: 350 },
        approved: { applications: 1, amount: 100 },
      },
      meanHoursToApproval: 48,
    });
  });

  it('counts every record once, however records are pushed', async () => {
    await record('1', new ApplicationSubmitted(100, submittedAt));
    await keeper.onApplicationBootstrap();
    const second = await record('2', new ApplicationSubmitted(20, submittedAt));
    const third = await record('3', new ApplicationSubmitted(3, submittedAt));
    await record('4', new ApplicationSubmitted(4000, submittedAt));
    const pushed = [...third, ...second, ...third, ...second];
    await Promise.all([...pushed.map((each) => keeper.take(each)), keeper.current()]);
    expect(await keeper.current()).toMatchObject({ events: 4, amountRequested: 4123 });
  });

  it('goes on after a read that failed', async () => {
    const [first] = await record('1', new ApplicationSubmitted(100, submittedAt));
    const fetch = store.fetch.bind(store);
    store.fetch = () => Promise.reject(new Error('connection lost'));
    await expect(keeper.current()).rejects.toThrow('connection lost');
    store.fetch = fetch;
    if (first) await keeper.take(first);
    expect(await keeper.current()).toMatchObject({ events: 1 });
  });
});
