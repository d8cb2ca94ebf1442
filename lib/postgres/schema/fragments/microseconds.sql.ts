/**
 * A time, or a span of time, as a whole number of microseconds; a time counts from the epoch.
 *
 * Never send a double: its text depends on `extra_float_digits`, and may be off by years.
 */
export const microseconds = (time: string): string =>
  `(date_part('epoch', ${time}) * 1000000)::bigint`;

/** The time that a column of microseconds holds. */
export const timeOf = (sinceEpoch: number): Date => new Date(sinceEpoch / 1000);
