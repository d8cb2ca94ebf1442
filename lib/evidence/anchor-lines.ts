import type { KeyObject } from 'node:crypto';
import { readAnchorLines } from './anchor-file.ts';
import type { AnchorLine } from './anchored-intervals.ts';
import { type LogAnchor, readAnchor } from './log-anchor.ts';
import { firstDigest } from './log-digest.ts';
import type { LogFinding } from './log-report.ts';

/** The content of a file of anchors, checked without the log. */
export interface CheckedAnchors {
  /** The anchors with a valid signature, in order. */
  readonly anchors: readonly AnchorLine[];
  readonly isTorn: boolean;
  readonly findings: readonly LogFinding[];
}

/**
 * Reads a file of anchors and checks that each anchor is signed and follows the previous one.
 *
 * @throws AnchorFileError if it cannot be read.
 */
export async function checkAnchors(file: string, publicKey: KeyObject): Promise<CheckedAnchors> {
  const { lines, isTorn } = await readAnchorLines(file);
  const anchors: AnchorLine[] = [];
  const findings: LogFinding[] = [];
  const blame = (line: number, reason: string): void => {
    findings.push({ kind: 'anchor', detail: `Line ${line} of the anchors ${reason}.` });
  };
  for (const [index, text] of lines.entries()) {
    const line = index + 1;
    const anchor = readAnchor(text, publicKey);
    const last = anchors.at(-1)?.anchor;
    if (!anchor) {
      blame(line, 'is not signed with this key');
    } else {
      if (!follows(anchor, last)) blame(line, 'does not follow the one before it');
      if (anchor.after >= (last?.position ?? 0)) anchors.push({ anchor, line });
    }
  }
  return { anchors, isTorn, findings };
}

/** Returns whether an anchor begins where the previous one ends, or where the log begins. */
const follows = (anchor: LogAnchor, last: LogAnchor | undefined): boolean =>
  anchor.after === (last?.position ?? 0) && anchor.previous === (last?.digest ?? firstDigest);
