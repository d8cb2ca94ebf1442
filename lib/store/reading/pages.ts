import type { EventRecord } from '../../events/event-record.ts';

export interface LogPage {
  /**
   * Where the next page begins: at the position of the last event read. An empty page, or a forward
   * page that reached the end of the log, has the current position, so that a filtered reader advances.
   *
   * Only an empty page is certain to be the last one: a page may end early after large events.
   */
  readonly position: number;
  readonly records: readonly EventRecord[];
}

export interface AggregatePage {
  /**
   * Where the next page begins: at the version of the last event read. An empty page has the current
   * version. Only an empty page is certain to be the last one: a page may end early after large events.
   */
  readonly version: number;
  readonly records: readonly EventRecord[];
}
