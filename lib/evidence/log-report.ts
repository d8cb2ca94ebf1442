import type { AggregateRef } from '../store/aggregate-ref.ts';

/**
 * What is wrong with the log.
 *
 * `changed`: an event is not what was stored. `missing`: one is missing. `forged`: one was not stored by
 * the store. `snapshot`: a snapshot is not what was stored. `anchor`: the log or the file is not what an
 * anchor was signed over. `altered`: a function, trigger or table is not what this release makes.
 */
export type LogFindingKind = 'changed' | 'missing' | 'forged' | 'snapshot' | 'anchor' | 'altered';

/** One thing that is wrong with the log. */
export interface LogFinding {
  readonly kind: LogFindingKind;
  /**
   * The event that it was noticed at: of missing ones, the next one of the aggregate; left out if there
   * is none. Of an anchor, the first event to blame.
   */
  readonly position?: number;
  readonly aggregate?: AggregateRef;
  /** The version concerned; the first one of several that are missing. */
  readonly version?: number;
  /** Of an altered object of the schema: what it is, and its name. */
  readonly object?: string;
  readonly detail: string;
  /** The hash or digest that is stored, in hexadecimal digits. */
  readonly stored?: string;
  /** The one that was to be expected. */
  readonly expected?: string;
}

/** What `EventLogVerifier.verify` has found. */
export interface LogReport {
  /** How many events were checked. */
  readonly events: number;
  /** How many of them have no hash, being older than the chain: nothing is known of their content. */
  readonly unhashed: number;
  /** How many events `removeEvents` has removed, in any process. */
  readonly removed: number;
  /** How many snapshots were checked. */
  readonly snapshots: number;
  /** The position after which every event has a hash. */
  readonly chainStart: number;
  /** The position up to which the log was checked. */
  readonly upTo: number;
  /** How many anchors the file has whose signature is good. */
  readonly anchors: number;
  /** The position of the last of them; 0 for none. */
  readonly anchoredUpTo: number;
  /** Whether the file ends in half a line: the process that wrote it ended before it had finished. */
  readonly hasTornAnchor: boolean;
  /** What is wrong, in the order of the log: the first 1000 findings. */
  readonly findings: readonly LogFinding[];
  /** How many findings there were. */
  readonly findingCount: number;
}

const maxFindings = 1_000;

/** Findings as they come: all are counted, and as many kept as a report holds. */
export class Findings {
  readonly first: LogFinding[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** How many more a report holds; at least one, so that a caller that asks for them gets one. */
  get room(): number {
    return Math.max(1, maxFindings - this.first.length);
  }

  add(finding: LogFinding): void {
    this.#count += 1;
    if (this.first.length < maxFindings) this.first.push(finding);
  }
}
