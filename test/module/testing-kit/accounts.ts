import { DomainEvent } from 'nest-event-store';

@DomainEvent('account.opened', { dates: ['at'] })
export class AccountOpened {
  constructor(
    readonly owner: string,
    readonly at = new Date(0),
  ) {}
}

@DomainEvent('account.closed')
export class AccountClosed {}

@DomainEvent('letter.due')
export class LetterDue {
  constructor(readonly remaining: number) {}
}

export const account = (id: string) => ({ type: 'account', id });
