import { EventStoreError } from '../event-store.error.ts';

/** Events are stored without hashes, so there is nothing to verify. */
export class HashChainOffError extends EventStoreError {
  readonly code = 'HASH_CHAIN_OFF';

  constructor(readonly schema: string) {
    super(
      `Events of "${schema}" get no hash: the trigger "domain_events_hash" is not there, or disabled. ` +
        'Set hashChain: true, or run the SQL of hashChainSql(), as the owner of the tables. If ' +
        'it was on before, find out who has switched it off.',
    );
  }
}

/** A file of anchors cannot be read or written, or not be gone on with. Nothing was written. */
export class AnchorFileError extends EventStoreError {
  readonly code = 'ANCHOR_FILE';

  constructor(
    readonly file: string,
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(`The file of anchors ${file} ${reason}.`, options);
  }
}
