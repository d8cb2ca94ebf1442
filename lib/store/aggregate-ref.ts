/** Names one aggregate by its stored type and the caller's id. Every event belongs to exactly one. */
export interface AggregateRef {
  /** The aggregate's stored name, such as `loan-application`. 1 to 255 bytes. */
  readonly type: string;
  /**
   * The aggregate's id: 1 to 512 bytes of well-formed text without control or invisible characters, and
   * without surrounding blanks; compared byte by byte.
   */
  readonly id: string;
}
