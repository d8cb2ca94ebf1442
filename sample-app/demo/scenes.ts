import { randomUUID } from 'node:crypto';
import type { EventStore } from 'nest-event-store';
import { z } from 'zod';
import { LoanApplication, snapshotRevision } from '../applications/loan-application.ts';

const answer = z.looseObject({ id: z.string().optional(), message: z.string().optional() });

/** Two clerks decide on the same application at the same time: one of them has to decide again. */
export async function showConflict(url: string): Promise<void> {
  console.log('\nA version conflict');
  const submitted = await post(`${url}/applications`, { body: { amount: 9000 } });
  const application = `${url}/applications/${submitted.id}`;
  const etag = submitted.etag ?? '';
  await post(`${application}/partly-submit`, { headers: { 'If-Match': etag } });
  const late = await post(`${application}/cancel`, { headers: { 'If-Match': etag } });
  await post(`${application}/cancel`, { headers: { 'If-Match': late.etag ?? '' } });
}

/** A client that got no answer sends its request again: the application is submitted once. */
export async function showIdempotentRetry(url: string): Promise<void> {
  console.log('\nAn idempotent retry');
  const request = {
    headers: { 'Idempotency-Key': randomUUID() },
    body: { amount: 12_500, submittedAt: new Date().toISOString() },
  };
  const first = await post(`${url}/applications`, request);
  await post(`${url}/applications`, request);
  const events = await fetch(`${url}/applications/${first.id}/events`);
  console.log(`  events recorded: ${z.array(z.unknown()).parse(await events.json()).length}`);
}

/** An application with a long history is loaded from its snapshot and the few events after it. */
export async function showSnapshotLoad(store: EventStore, applicationId: string): Promise<void> {
  console.log('\nA load from a snapshot');
  const startedAt = performance.now();
  const { version, snapshot, records } = await store.fetchHistory(
    LoanApplication.ref(applicationId),
    { revision: snapshotRevision },
  );
  const ms = (performance.now() - startedAt).toFixed(1);
  console.log(
    `  ${applicationId} is at version ${version}: read its snapshot at version ` +
      `${snapshot?.version ?? 0} and ${records.length} events after it, in ${ms} ms`,
  );
}

interface Answer {
  readonly id: string | undefined;
  readonly etag: string | null;
}

/** Sends a request as any client would, and prints it with its response. */
async function post(
  url: string,
  { headers, body }: { readonly headers?: Record<string, string>; readonly body?: object },
): Promise<Answer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { ...headers, ...(body ? { 'Content-Type': 'application/json' } : {}) },
    body: body ? JSON.stringify(body) : null,
  });
  const { id, message } = answer.parse(await response.json());
  const etag = response.headers.get('ETag');
  const sent = Object.entries(headers ?? {}).map(([name, value]) => ` ${name}: ${value}`);
  console.log(`  POST ${new URL(url).pathname}${sent.join('')}`);
  console.log(`    → ${response.status}, ETag ${etag}${message ? `: ${message}` : ''}`);
  return { id, etag };
}
