import { createHash } from 'node:crypto';
import type { ChainedEvent } from './chained-log.ts';

/** The digest at the beginning of a log, before any anchor. */
export const firstDigest = '00'.repeat(32);

/** A digest over the places and hashes of events, which continues the digest of an earlier anchor. */
export class LogDigest {
  readonly #hash = createHash('sha256');
  #events = 0;

  constructor(previous: string) {
    this.#hash.update(Buffer.from(previous, 'hex'));
  }

  get events(): number {
    return this.#events;
  }

  add({ position, hash }: ChainedEvent): void {
    const link = Buffer.alloc(40);
    link.writeBigInt64BE(BigInt(position));
    // An event without a hash counts only by its place.
    hash?.copy(link, 8, 0, 32);
    this.#hash.update(link);
    this.#events += 1;
  }

  end(): string {
    return this.#hash.digest('hex');
  }
}
