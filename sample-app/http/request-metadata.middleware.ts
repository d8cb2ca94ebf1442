import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { runWithMetadata } from 'nest-event-store';

/**
 * Stores with every event which request has recorded it.
 *
 * `X-Request-Id` becomes the correlation id, or else a new UUID; `X-Actor` names the actor. This desk
 * trusts the header: a real application takes the actor from its authentication.
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
