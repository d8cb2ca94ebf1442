import { EventStoreError } from '../event-store.error.ts';

/** A durable saga did not return an observable, so none of its commands was executed. */
export class InvalidSagaError extends EventStoreError {
  readonly code = 'INVALID_SAGA';

  constructor(
    readonly consumer: string,
    readonly saga: string,
  ) {
    super(
      `The saga ${saga}, durable as '${consumer}', did not return an Observable. Let it return ` +
        'events$.pipe(…) with an operator that maps each event to its commands.',
    );
  }
}
