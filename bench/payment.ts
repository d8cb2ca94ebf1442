import { createHash, randomUUID } from 'node:crypto';
import type { Payment } from './subject.ts';

/** Makes an event that differs from every other one. */
export function newPayment(): Payment {
  const cents = Math.floor(Math.random() * 1_000_000);
  return {
    paymentId: randomUUID(),
    account: 'DE02120300000000202051',
    amount: cents,
    currency: 'EUR',
    reference: 'Invoice 2026-0815',
    bookedAt: '2026-11-23T09:30:00.000Z',
    lines: [{ text: 'Monthly fee', cents }],
  };
}

/** Makes the events of one append. */
export const newPayments = (count: number): Payment[] => Array.from({ length: count }, newPayment);

/** The id of the n-th aggregate stored before a scenario began. Ids are in no order, like real ones. */
export function storedAggregate(n: number): string {
  const hex = createHash('md5').update(String(n)).digest('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
