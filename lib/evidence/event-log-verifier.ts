import { KnownOptions } from '../input/known-options.ts';
import { appendAnchorLine, readOrBegin } from './anchor-file.ts';
import { checkAnchors, type CheckedAnchors } from './anchor-lines.ts';
import { AnchoredIntervals } from './anchored-intervals.ts';
import { checkEvent, checkSnapshot, lostEnd } from './check-event.ts';
import type { ChainedLog, ChainedLogReading } from './chained-log.ts';
import { AnchorFileError } from './evidence.errors.ts';
import {
  type AnchorKey,
  type LogAnchor,
  privateKeyOf,
  publicKeyOf,
  readAnchor,
  signAnchor,
} from './log-anchor.ts';
import { firstDigest, LogDigest } from './log-digest.ts';
import { Findings, type LogFinding, type LogReport } from './log-report.ts';

/** The anchors against which `verify` checks a log, in addition to the log's own hashes. */
export interface VerifyOptions {
  /** The file that `anchor` has written. @default no anchors */
  readonly anchors?: string;
  /** The public half of the key with which the lines were signed. @default none */
  readonly publicKey?: AnchorKey;
}

/** The key with which `anchor` signs. */
export interface AnchorOptions {
  /** An Ed25519 key. Keep it from every role that can write to the database. */
  readonly privateKey: AnchorKey;
}

const verifyOptions = new KnownOptions<VerifyOptions>('verify', {
  anchors: true,
  publicKey: true,
});
const anchorOptions = new KnownOptions<AnchorOptions>('anchor', { privateKey: true });

/**
 * Finds changes that were made to the log without the store; injected by its class.
 *
 * From the moment at which `hashChain` was switched on, every event has a hash of its content and of
 * the previous hash in its aggregate. A role that may write the tables can compute all hashes again.
 * Anchors, which are signed and kept elsewhere, record what the hashes were.
 */
export class EventLogVerifier {
  constructor(private readonly log: ChainedLog) {}

  /**
   * Reads the whole log, up to its horizon, and reports its findings.
   *
   * Holds one connection of the pool for as long as it reads, and uses little memory. It does not run
   * on a standby.
   *
   * @throws HashChainOffError if events get no hash.
   * @throws AnchorFileError if the file of anchors cannot be read.
   */
  async verify(options: VerifyOptions = {}): Promise<LogReport> {
    const { anchors: file, publicKey } = verifyOptions.take(options);
    if ((file === undefined) !== (publicKey === undefined)) {
      throw new TypeError('Give verify() both anchors and publicKey, or neither.');
    }
    const signed =
      file === undefined ? noAnchors : await checkAnchors(file, publicKeyOf(publicKey!));
    return this.log.read((reading) => verifyLog(reading, signed));
  }

  /**
   * Signs what the log holds now as one more line of the file, and resolves once the line is on disk.
   *
   * Reads only what was stored since the last line. It signs the content as it is, correct or not: call
   * `verify` to check it. Calls on one store wait for each other.
   *
   * @throws HashChainOffError if events get no hash.
   * @throws AnchorFileError if the file cannot be read or written, its last line was not signed with this
   * key, or the log ends before it.
   *
   * @example
   * await verifier.anchor('/mnt/evidence/anchors.jsonl', { privateKey });
   */
  async anchor(file: string, options: AnchorOptions): Promise<LogAnchor> {
    const privateKey = privateKeyOf(anchorOptions.take(options).privateKey);
    return this.log.read(
      async (reading) => {
        const written = await readOrBegin(file);
        const last = written.lines.at(-1);
        const previous = last === undefined ? undefined : readAnchor(last, publicKeyOf(privateKey));
        if (last !== undefined && !previous) {
          throw new AnchorFileError(file, 'ends in a line that was not signed with this key');
        }
        const anchor = await anchorOf(reading, previous, file);
        await appendAnchorLine(file, written, signAnchor(anchor, privateKey));
        return anchor;
      },
      { exclusive: true },
    );
  }
}

const noAnchors: CheckedAnchors = { anchors: [], isTorn: false, findings: [] };

async function anchorOf(
  reading: ChainedLogReading,
  last: LogAnchor | undefined,
  file: string,
): Promise<LogAnchor> {
  const after = last?.position ?? 0;
  if (after > reading.lastPosition) {
    throw new AnchorFileError(
      file,
      `is ahead of the log, which ends at position ${reading.lastPosition} and not after ${after}: ` +
        'the log was restored to an earlier time, or is another one',
    );
  }
  const previous = last?.digest ?? firstDigest;
  const digest = new LogDigest(previous);
  // An append that has not drawn its positions yet may hold the horizon back for a moment.
  const position = Math.max(reading.horizon, after);
  for await (const event of reading.events(after, position)) digest.add(event);
  return {
    after,
    position,
    events: digest.events,
    chainStart: reading.start,
    digest: digest.end(),
    previous,
    time: new Date().toISOString(),
  };
}

async function verifyLog(reading: ChainedLogReading, signed: CheckedAnchors): Promise<LogReport> {
  const findings = new Findings();
  const report = (finding: LogFinding): void => findings.add(finding);
  for (const finding of signed.findings) report(finding);

  const anchoredUpTo = signed.anchors.at(-1)?.anchor.position ?? 0;
  // Anchored events can always be read, even if the horizon is held back for a moment.
  const upTo = Math.max(reading.horizon, Math.min(anchoredUpTo, reading.lastPosition));
  const moved = signed.anchors.find(({ anchor }) => anchor.chainStart !== reading.start);
  if (moved) {
    report({
      kind: 'anchor',
      detail:
        `Every event after position ${moved.anchor.chainStart} had a hash when line ${moved.line} of ` +
        `the anchors was signed, and now only those after ${reading.start}: the chain was off meanwhile.`,
    });
  }

  for (const { object, detail } of reading.alterations) {
    report({ kind: 'altered', object, detail });
  }
  // A view in place of a table may show the verifier other rows than it shows to other readers.
  const isReadable = reading.alterations.every(({ isUnreadable }) => !isUnreadable);
  const counts = isReadable
    ? await verifyRows(reading, { signed, upTo, findings })
    : { events: 0, unhashed: 0, removed: 0, snapshots: 0 };

  return {
    ...counts,
    chainStart: reading.start,
    upTo: isReadable ? upTo : 0,
    anchors: signed.anchors.length,
    anchoredUpTo,
    hasTornAnchor: signed.isTorn,
    findings: findings.first,
    findingCount: findings.count,
  };
}

interface RowsToVerify {
  readonly signed: CheckedAnchors;
  readonly upTo: number;
  readonly findings: Findings;
}

async function verifyRows(
  reading: ChainedLogReading,
  { signed, upTo, findings }: RowsToVerify,
): Promise<Pick<LogReport, 'events' | 'unhashed' | 'removed' | 'snapshots'>> {
  const report = (finding: LogFinding): void => findings.add(finding);
  const intervals = new AnchoredIntervals(signed.anchors, report);
  const counts = { events: 0, unhashed: 0, removed: 0, snapshots: 0 };
  for await (const event of reading.events(0, upTo)) {
    const finding = checkEvent(event, reading.start);
    if (finding) report(finding);
    intervals.add(event, finding !== undefined);
    counts[event.isRemoved ? 'removed' : 'events'] += 1;
    if (!event.isRemoved && !event.hash) counts.unhashed += 1;
  }
  intervals.end(upTo);
  for await (const snapshot of reading.snapshots()) {
    const finding = checkSnapshot(snapshot);
    if (finding) report(finding);
    counts.snapshots += 1;
  }
  for (const end of await reading.lostEnds(findings.room)) report(lostEnd(end));
  return counts;
}
