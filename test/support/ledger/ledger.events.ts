import { DomainEvent } from '../../../lib/events/domain-event.decorator.ts';

@DomainEvent('ledger.deposited')
export class Deposited {
  constructor(readonly amount: number) {}
}

@DomainEvent('ledger.withdrawn')
export class Withdrawn {
  constructor(readonly amount: number) {}
}

export type Movement = Deposited | Withdrawn;

const deposits = ['ledger.deposited'];
const movements = ['ledger.deposited', 'ledger.withdrawn'];

/** The events that each consumer of the ledger takes, stated a second time as a reference for checks. */
export interface LedgerConsumer {
  readonly name: string;
  /** Whether its effects commit together with its checkpoint. */
  readonly isProjection: boolean;
  readonly isInline: boolean;
  readonly types: readonly string[];
  readonly aggregateTypes: readonly string[];
}

const everywhere = ['account', 'wallet'];
const projection = { isProjection: true, isInline: false, aggregateTypes: everywhere };
const handler = { isProjection: false, isInline: false, aggregateTypes: everywhere };

export const ledgerConsumers: readonly LedgerConsumer[] = [
  { ...projection, name: 'balances', types: movements },
  { ...projection, name: 'turnover', types: deposits, aggregateTypes: ['account'] },
  { ...projection, name: 'journal', types: movements },
  { ...projection, name: 'totals', types: movements, isInline: true },
  { ...handler, name: 'letters', types: movements },
  { ...handler, name: 'receipts', types: deposits },
];
