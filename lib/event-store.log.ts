import { inspect } from 'node:util';
import { Logger } from '@nestjs/common';

/** Where the library says what nobody is there to be thrown at for. */
export const logger = new Logger('EventStore');

/** Logs what must not fail a call. */
export function warn(message: string, error?: unknown): void {
  const reason = error instanceof Error ? String(error) : inspect(error, { depth: 0 });
  logger.warn(error === undefined ? message : `${message} ${reason}`);
}
