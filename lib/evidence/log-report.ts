import type { AggregateRef } from '../store/aggregate-ref.ts';

/**
 * The kind of a finding.
 *
 * `changed`: an event is not what was stored. `missing`: an event is missing. `forged`: an event was
 * not stored by the store. `snapshot`: a snapshot is not what was stored. `anchor`: the log or the file
 * is not what an anchor was signed over. `altered`: a function, trigger or table is not what this
 * release creates.
 */
export type LogFindingKind = 'changed' | 'missing' | 'forged' | 'snapshot' | 'anchor' | 'altered';

/** One finding of a verification. */
export interface LogFinding {
  readonly kind: LogFindingKind;
  /**
   * The event at which the finding was noticed. For missing events, this is the next event of the
   * aggregate, left out if there is none. For an anchor, it is the first altered event, or the first
   * position of the anchor if no single event shows the change.
   */
  readonly position?: number;
  readonly aggregate?: AggregateRef;
  /** The version of the event; if several are missing, the first of them. */
  readonly version?: number;
  /** The kind and the name of an altered object of the schema. */
  readonly object?: string;
  readonly detail: string;
  /** The stored hash or digest, in hexadecimal digits. */
  readonly stored?: string;
  /** The expected hash or digest. */
  readonly expected?: string;
}

/** The result of `EventLogVerifier.verify`. */
export interface LogReport {
  /** How many events were checked. */
  readonly events: number;
  /**
   * How many of them have no hash because they are older than the chain; their content is not checked.
   */
  readonly unhashed: number;
  /** How many events `removeEvents` has removed, in any process. */
  readonly removed: number;
  /** How many snapshots were checked. */
  readonly snapshots: number;
  /** The position after which every event has a hash. */
  readonly chainStart: number;
  /** The position up to which the log was checked. */
  readonly upTo: number;
  /** How many anchors of the file have a valid signature. */
  readonly anchors: number;
  /** The position of the last valid anchor; 0 for none. */
  readonly anchoredUpTo: number;
  /** Whether the file ends in half a line, because the process that wrote it ended too early. */
  readonly hasTornAnchor: boolean;
  /** The first 1000 findings, in the order of the log. */
  readonly findings: readonly LogFinding[];
  /** How many findings there were. */
  readonly findingCount: number;
}

const maxFindings = 1_000;

/** Collects findings: it counts all of them and keeps as many as a report holds. */
export class Findings {
  readonly first: LogFinding[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /**
   * How many more findings a report holds; at least 1, so that a query with this limit returns a row.
   */
  get room(): number {
    return Math.max(1, maxFindings - this.first.length);
  }

  add(finding: LogFinding): void {
    this.#count += 1;
    if (this.first.length < maxFindings) this.first.push(finding);
  }
}
