import { hash } from 'node:crypto';

/** The parts of an event that its hash covers, as the database stores them. */
export interface HashedEvent {
  /** The hash of the previous event of the aggregate. */
  readonly previous: Buffer | null;
  readonly position: number;
  readonly id: string;
  readonly aggregateType: string;
  readonly aggregateId: string;
  readonly version: number;
  readonly type: string;
  readonly revision: number;
  /** JSON, as PostgreSQL writes it. */
  readonly payload: string;
  readonly binary: Buffer | null;
  /** JSON, as PostgreSQL writes it. */
  readonly metadata: string;
  /** In the binary form of the PostgreSQL protocol. */
  readonly recordedAt: Buffer;
}

/** The parts of a snapshot that its hash covers, as the database stores them. */
export interface HashedSnapshot {
  /** The hash of the event at the snapshot's version. */
  readonly event: Buffer | null;
  readonly aggregateType: string;
  readonly aggregateId: string;
  readonly version: number;
  readonly revision: number;
  /** JSON, as PostgreSQL writes it. */
  readonly state: string;
  readonly binary: Buffer | null;
}

/**
 * Returns the hash that the database must have stored with an event.
 *
 * The hash is computed here and not by the database: there, a function with the right name in the wrong
 * schema could return whatever hash is stored. Every part has a fixed length, so no two events have the
 * same bytes to hash.
 */
export const eventHash = (event: HashedEvent): Buffer =>
  sha256(
    Buffer.concat([
      event.previous ?? zeros,
      bigint(event.position),
      Buffer.from(event.id.replaceAll('-', ''), 'hex'),
      sha256(event.aggregateType),
      sha256(event.aggregateId),
      bigint(event.version),
      sha256(event.type),
      integer(event.revision),
      sha256(event.payload),
      event.binary ? sha256(event.binary) : zeros,
      sha256(event.metadata),
      event.recordedAt,
    ]),
  );

/** Returns the hash that the store must have written with a snapshot. */
export const snapshotHash = (snapshot: HashedSnapshot): Buffer =>
  sha256(
    Buffer.concat([
      snapshot.event ?? zeros,
      sha256(snapshot.aggregateType),
      sha256(snapshot.aggregateId),
      bigint(snapshot.version),
      integer(snapshot.revision),
      sha256(snapshot.state),
      snapshot.binary ? sha256(snapshot.binary) : zeros,
    ]),
  );

const zeros = Buffer.alloc(32);

const sha256 = (data: string | Buffer): Buffer => hash('sha256', data, 'buffer');

function bigint(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
}

function integer(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
