/** What every event of the benchmark carries: seven fields, about 230 bytes of JSON. */
export interface Payment {
  readonly paymentId: string;
  readonly account: string;
  readonly amount: number;
  readonly currency: string;
  readonly reference: string;
  readonly bookedAt: string;
  readonly lines: readonly { readonly text: string; readonly cents: number }[];
}

/** An event as a reader of the whole log gets it. */
export interface ReadEvent {
  readonly aggregate: string;
  /** The payment, decoded. */
  readonly event: Payment;
}

/** A store that can be measured: this one, a peer, or what the database does on its own. */
export interface Subject {
  readonly name: string;
  readonly kind: 'ours' | 'peer' | 'baseline' | 'limit';
  /** The package whose installed version the report names; none for a subject written here. */
  readonly package?: string;
  /** Its readers can follow the events of all aggregates in one order. */
  readonly hasGlobalOrder: boolean;
  /**
   * Connects to the database and, in the first process only, makes the tables.
   *
   * `connections` is the size of the pool. The subject is as fast as the documentation of its library
   * can make it: prepared statements, batches, a pool of its own, whatever it offers to every user.
   */
  open(
    url: string,
    options: { readonly setUp: boolean; readonly connections: number },
  ): Promise<OpenSubject>;
}

/** What a subject can do. An operation that it lacks is left out, and shown as missing. */
export interface OpenSubject {
  /**
   * Stores events of one aggregate, durably, before it resolves.
   *
   * `after` is the number of events that the aggregate has; the subject checks it if it can. `any`
   * checks nothing, while other callers append to the same aggregate.
   */
  append(aggregate: string, events: readonly Payment[], after: number | 'any'): Promise<void>;
  /** Opens a transaction of the caller's, stores the events inside of it, and commits it. */
  appendInTransaction?(aggregate: string, events: readonly Payment[], after: number): Promise<void>;
  /** Reads all events of one aggregate, decoded, and answers how many there were. */
  load?(aggregate: string): Promise<number>;
  /** Reads the log from its beginning to its end, decoded, in pages of the subject's own choice. */
  readAll?(onEvent: (read: ReadEvent) => void): Promise<void>;
  /**
   * Follows the log by the subject's own catch-up reader, from the beginning, until `stop` is called:
   * each event once, as soon as the subject hands it over.
   */
  follow?(onEvent: (read: ReadEvent) => void): Promise<{ stop(): Promise<void> }>;
  /** How often an append after `any` has met a conflict so far, and was sent again. */
  conflicts?(): number;
  close(): Promise<void>;
}

/** A store, and a listener that reports when an event of it has arrived. */
export interface Followed {
  append: OpenSubject['append'];
  follow(onArrival: (payment: Payment) => void): Promise<{ stop(): Promise<void> }>;
}
