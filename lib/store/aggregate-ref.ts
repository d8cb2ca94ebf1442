/** Names one aggregate: its stored type and the caller's id. Every event belongs to exactly one. */
export interface AggregateRef {
  /** The aggregate's stored name, such as `loan-application`. 1 to 255 bytes. */
  readonly type: string;
  /**
   * 1 to 512 bytes of well-formed text without control or invisible characters, and without blanks
   * around it; compared byte by byte.
   */
  readonly id: string;
}
