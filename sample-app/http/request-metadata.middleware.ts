import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { runWithMetadata } from 'nest-event-store';

/**
 * Stores with every event which request recorded it.
 *
 * `X-Request-Id` is the correlation id, or a new UUID; `X-Actor` says who asked. This desk trusts
 * the header: a real one takes the actor from its authentication.
 */
export function requestMetadata(
  request: IncomingMessage,
  _response: ServerResponse,
  next: () => void,
): void {
  const { 'x-request-id': requestId, 'x-actor': actor } = request.headers;
  runWithMetadata({ correlationId: text(requestId) ?? randomUUID(), actor: text(actor) }, next);
}

function text(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' && header !== '' ? header : undefined;
}
