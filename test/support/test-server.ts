import type { EmbeddedPostgres } from '../../dev/postgres/embedded-postgres.ts';

/** What `globalSetup` leaves for `globalTeardown`; spec files see `DATABASE_URL` only. */
export const server: { embedded?: EmbeddedPostgres } = {};
