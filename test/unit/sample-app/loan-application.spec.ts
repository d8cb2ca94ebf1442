import { describe, expect, it } from '@jest/globals';
import { ApplicationCancelled } from '../../../sample-app/applications/events/application.events.ts';
import {
  OfferCreated,
  OfferExpired,
} from '../../../sample-app/applications/events/offer.events.ts';
import { LoanApplication } from '../../../sample-app/applications/loan-application.ts';

const at = new Date('2026-03-01T09:00:00Z');

type Step = (application: LoanApplication) => void;

const submitted: Step[] = [(it) => it.submit(9000, at), (it) => it.partlySubmit(at)];
const accepted: Step[] = [...submitted, (it) => it.preaccept(at), (it) => it.accept(at)];
const finalized: Step[] = [...accepted, (it) => it.finalize(at)];
const offered: Step[] = [
  ...finalized,
  (it) => it.selectOffer(at),
  (it) => it.createOffer(at),
  (it) => it.sendOffer(at),
];
const signed: Step[] = [...offered, (it) => it.sendOfferBack(at)];
const activated: Step[] = [
  ...signed,
  (it) => it.acceptOffer(at),
  (it) => it.approve(at),
  (it) => it.register(at),
  (it) => it.activate(at),
];

const after = (days: number): Date => new Date(at.getTime() + days * 24 * 3_600_000);

function numbersOf(application: LoanApplication): (string | null)[] {
  return application
    .getUncommittedEvents()
    .flatMap((event) => (event instanceof OfferCreated ? [event.number] : []));
}

function given(steps: readonly Step[]): LoanApplication {
  const application = new LoanApplication('42');
  for (const step of steps) step(application);
  application.uncommit();
  return application;
}

describe('a loan application', () => {
  it.each<[string, Step[], Step, string]>([
    ['approval before acceptance', submitted, (it) => it.approve(at), 'has agreed to'],
    ['approval without a signed offer', offered, (it) => it.approve(at), 'has agreed to'],
    ['approval twice', activated, (it) => it.approve(at), 'it is approved already'],
    ['a second submission', submitted, (it) => it.submit(1, at), 'it is partly-submitted'],
    ['a refusal after activation', activated, (it) => it.decline(at), 'an offer was accepted'],
    ['an offer before acceptance', submitted, (it) => it.selectOffer(at), 'is partly-submitted'],
    [
      'two offers in preparation',
      [...finalized, (it) => it.selectOffer(at)],
      (it) => it.selectOffer(at),
      'another offer is being prepared',
    ],
    [
      'a new offer beside the one it replaces',
      [...offered, (it) => it.selectOffer(at)],
      (it) => it.createOffer(at),
      'is not cancelled',
    ],
    ['acceptance of an unsigned offer', offered, (it) => it.acceptOffer(at), 'was sent back'],
    ['an offer after activation', activated, (it) => it.selectOffer(at), 'is granted'],
    [
      'new work after activation',
      activated,
      (it) => it.moveWorkItem('schedule', 'assess-fraud', at),
      'is granted',
    ],
    [
      'validation before the offer is back',
      offered,
      (it) => it.moveWorkItem('schedule', 'validate-application', at),
      'has not sent the offer back',
    ],
    [
      'work that is not scheduled',
      submitted,
      (it) => it.moveWorkItem('start', 'handle-lead', at),
      'none',
    ],
    [
      'two at work on one item',
      [
        ...submitted,
        (it) => it.moveWorkItem('schedule', 'handle-lead', at),
        (it) => it.moveWorkItem('start', 'handle-lead', at),
      ],
      (it) => it.moveWorkItem('start', 'handle-lead', at),
      'somebody is working on it',
    ],
  ])('refuses %s', (_, history, step, reason) => {
    const application = given(history);
    expect(() => step(application)).toThrow(reason);
    expect(application.getUncommittedEvents()).toHaveLength(0);
  });

  it('allows contract changes after activation', () => {
    const application = given(activated);
    application.moveWorkItem('schedule', 'change-contract', at);
    expect(application.getUncommittedEvents()).toMatchObject([{ kind: 'change-contract', at }]);
  });
});

describe('an offer', () => {
  it('has a number of its own, or the one it is given', () => {
    const application = given(finalized);
    application.selectOffer(at);
    application.createOffer(at);
    application.sendOffer(at);
    application.cancelOffer(at);
    application.selectOffer(at);
    application.createOffer(at, 'A-7');
    expect(numbersOf(application)).toEqual(['42-1', 'A-7']);
  });

  it('expires 30 days after it was sent, and not before', () => {
    const application = given(offered);
    application.expireOffer(after(29));
    expect(application.getUncommittedEvents()).toEqual([]);
    application.expireOffer(after(30));
    application.expireOffer(after(31));
    expect(application.getUncommittedEvents()).toEqual([new OfferExpired(after(30))]);
  });

  it('does not expire once it was sent back', () => {
    const application = given(signed);
    application.expireOffer(after(60));
    expect(application.getUncommittedEvents()).toEqual([]);
  });
});

describe('an application whose offer has expired', () => {
  const expired: Step[] = [...offered, (it) => it.expireOffer(after(30))];

  it.each<[string, Step[], object[]]>([
    ['is cancelled', expired, [new ApplicationCancelled(after(30))]],
    ['is cancelled once', [...expired, (it) => it.cancelUnanswered(after(30))], []],
    ['is kept while a new offer is prepared', [...expired, (it) => it.selectOffer(after(30))], []],
    [
      'is kept when the new offer was cancelled',
      [
        ...expired,
        (it) => it.selectOffer(after(30)),
        (it) => it.createOffer(after(30)),
        (it) => it.sendOffer(after(30)),
        (it) => it.cancelOffer(after(30)),
      ],
      [],
    ],
    ['is kept when it was declined', [...expired, (it) => it.decline(after(30))], []],
  ])('%s', (_, history, events) => {
    const application = given(history);
    application.cancelUnanswered(after(30));
    expect(application.getUncommittedEvents()).toEqual(events);
  });
});
