/**
 * What an append expects of its aggregate at the moment it is written.
 *
 * `'any'` checks nothing, `'no_stream'` wants an aggregate without any event so far, `'exists'` one
 * with at least one event, and a number the version it must be at now (0 is `'no_stream'`).
 */
export type ExpectedVersion = 'any' | 'no_stream' | 'exists' | number;
