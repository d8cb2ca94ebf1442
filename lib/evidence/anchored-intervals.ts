import type { ChainedEvent } from './chained-log.ts';
import type { LogAnchor } from './log-anchor.ts';
import { LogDigest } from './log-digest.ts';
import type { LogFinding } from './log-report.ts';

/** An anchor, and the number of its line. */
export interface AnchorLine {
  readonly anchor: LogAnchor;
  readonly line: number;
}

/** Compares the log, event by event, with the anchors that were signed over it. */
export class AnchoredIntervals {
  readonly #remaining: AnchorLine[];
  readonly #report: (finding: LogFinding) => void;
  #digest: LogDigest | undefined;
  #blamed: number | undefined;

  /** The anchors must be in order, and none may begin before the previous one ends. */
  constructor(anchors: readonly AnchorLine[], report: (finding: LogFinding) => void) {
    this.#remaining = [...anchors];
    this.#report = report;
  }

  add(event: ChainedEvent, hasFinding: boolean): void {
    this.#closeBefore(event.position);
    const anchor = this.#remaining[0]?.anchor;
    if (!anchor || event.position <= anchor.after) return;
    this.#digest ??= new LogDigest(anchor.previous);
    this.#digest.add(event);
    if (hasFinding) this.#blamed ??= event.position;
  }

  /** Must be called once the log was read up to this position. */
  end(upTo: number): void {
    this.#closeBefore(upTo + 1);
    for (const { anchor, line } of this.#remaining) {
      this.#report({
        kind: 'anchor',
        detail:
          `The log ends at position ${upTo}, and the anchor in line ${line} was signed over ` +
          `${anchor.position}: the end of the log is missing.`,
      });
    }
  }

  #closeBefore(position: number): void {
    while (this.#remaining[0] && this.#remaining[0].anchor.position < position) {
      this.#close(this.#remaining.shift()!);
    }
  }

  #close({ anchor, line }: AnchorLine): void {
    const { after, position, events, time } = anchor;
    const digest = this.#digest ?? new LogDigest(anchor.previous);
    const found = digest.end();
    if (found !== anchor.digest) {
      this.#report({
        kind: 'anchor',
        position: this.#blamed ?? after + 1,
        detail:
          `After position ${after} and up to ${position}, the log is not what was signed at ${time} ` +
          `in line ${line}: ${digest.events} events now, ${events} then. ` +
          (this.#blamed === undefined
            ? 'No single event looks altered: hashes were computed again, or ends removed.'
            : `The first altered event is at ${this.#blamed}.`),
        stored: found,
        expected: anchor.digest,
      });
    }
    this.#digest = undefined;
    this.#blamed = undefined;
  }
}
