import { randomUUID } from 'node:crypto';
import { DomainEvent } from '../../../events/domain-event.decorator.ts';
import type { AggregateRef } from '../../../store/aggregate-ref.ts';

@DomainEvent('account.opened', { dates: ['openedAt'] })
export class AccountOpened {
  constructor(
    readonly owner: string,
    readonly openedAt: Date,
  ) {}
}

@DomainEvent('account.money-deposited', { aliases: ['account.paid-in'] })
export class MoneyDeposited {
  constructor(readonly amount: number) {}
}

@DomainEvent('account.money-withdrawn')
export class MoneyWithdrawn {
  constructor(readonly amount: number) {}
}

@DomainEvent('account.closed')
export class AccountClosed {}

/** An event whose schema answers with a promise. */
@DomainEvent('account.audited', {
  schema: {
    '~standard': {
      version: 1,
      vendor: 'contract',
      validate: (value) => new Promise((resolve) => setTimeout(resolve, 5, { value })),
    },
  },
})
export class AccountAudited {}

@DomainEvent('account.never-registered')
export class NeverRegistered {}

export const contractEvents = [
  ...[AccountOpened, MoneyDeposited, MoneyWithdrawn, AccountClosed],
  AccountAudited,
];

/** Names an aggregate that no other test uses. */
export function newAccount(type = 'account'): AggregateRef {
  return { type, id: randomUUID() };
}

/** Deposits of 1, 2, 3 … */
export function deposits(count: number): MoneyDeposited[] {
  return Array.from({ length: count }, (_, index) => new MoneyDeposited(index + 1));
}
