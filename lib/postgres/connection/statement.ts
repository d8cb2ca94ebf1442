import { createHash } from 'node:crypto';

/** One statement of the store. Its name is a digest of the text, so no two texts share a name. */
export class Statement {
  readonly name: string;
  readonly isPrepared: boolean;

  constructor(
    readonly text: string,
    { prepared = true } = {},
  ) {
    this.isPrepared = prepared;
    this.name = `event_store_${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;
  }
}
