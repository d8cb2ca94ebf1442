import { server } from './test-server.ts';

/** Stops the server that `globalSetup` started. */
export default async function globalTeardown(): Promise<void> {
  await server.embedded?.stop();
}
