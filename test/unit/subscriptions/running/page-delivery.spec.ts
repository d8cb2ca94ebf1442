import { expect, it } from '@jest/globals';
import {
  PageDelivery,
  type PageDeliveryParts,
} from '../../../../lib/subscriptions/running/page-delivery.ts';
import { consumer } from '../../../support/consumers.ts';

it('A consumer reads on without a pause until a page without events is at the end', async () => {
  const pages = [
    { position: 10, mark: null, records: [], atEnd: false },
    // Read before the last wake-up, perhaps: something may follow.
    { position: 20, mark: null, records: [], atEnd: true },
    { position: 20, mark: null, records: [], atEnd: true },
  ];
  const cursor = {
    at: { position: 0, mark: null },
    get position() {
      return this.at.position;
    },
    held: { takeovers: 0 },
    saveIdle: async () => undefined,
  };
  const parts = {
    consumer: consumer('rare', async () => undefined),
    cursor,
    filter: {},
    head: { read: async () => pages.shift()! },
  };
  const delivery = new PageDelivery(
    parts as unknown as PageDeliveryParts,
    new AbortController().signal,
  );
  expect(await delivery.handleNext(Infinity)).toBe('busy');
  expect(await delivery.handleNext(Infinity)).toBe('busy');
  expect(await delivery.handleNext(Infinity)).toBe('idle');
});
