import { AggregateRoot } from '@nestjs/cqrs';
import { library } from '../library.ts';
import type { PaymentBooked } from '../subjects/ours.ts';

/** The aggregate that the payments belong to, folded as an application does. */
@library.Aggregate('account')
export class Account extends AggregateRoot<object> {
  payments = 0;
  cents = 0;

  constructor(readonly id: string) {
    super();
  }

  onPaymentBooked({ amount }: PaymentBooked): void {
    this.payments += 1;
    this.cents += amount;
  }
}
