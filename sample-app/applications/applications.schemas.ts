import { z } from 'zod';
import { applicationStatuses, grantSteps } from './application-status.ts';
import type { VersionedApplication } from './commands/application.command.ts';
import { workItemKinds, workItemSteps } from './work-items.ts';

export const applicationId = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be 1 to 64 letters, digits, hyphens or underscores')
  .meta({ example: '173688' });

export const idempotencyKey = z.uuid().toLowerCase().optional();

export const submission = z.strictObject({
  amount: z.int().min(0).max(1_000_000).meta({ description: 'Euro', example: 15_000 }),
  submittedAt: z.iso
    .datetime({ offset: true })
    .transform((text) => new Date(text))
    .optional()
    .meta({ description: 'Now, if left out; needed with an Idempotency-Key' }),
});
export type Submission = z.output<typeof submission>;

export const newOffer = z
  .strictObject({
    number: z
      .string()
      .regex(/^[A-Za-z0-9_-]{1,80}$/, 'must be 1 to 80 letters, digits, hyphens or underscores')
      .optional()
      .meta({ description: 'Given by the desk, if left out', example: '173688-1' }),
  })
  .optional();
export type NewOffer = z.output<typeof newOffer>;

export const historyPage = z.strictObject({
  after: z.coerce.number().int().nonnegative().default(0),
  limit: z.coerce.number().int().min(1).max(500).default(100),
});
export type HistoryPage = z.output<typeof historyPage>;

export const applicationStep = z.enum([
  'partly-submit',
  'preaccept',
  'accept',
  'finalize',
  'approve',
  'register',
  'activate',
  'decline',
  'cancel',
]);
export type ApplicationStep = z.output<typeof applicationStep>;

export const offerStep = z.enum(['select', 'send', 'send-back', 'accept', 'decline', 'cancel']);
export type OfferStep = z.output<typeof offerStep>;

export const workItemStep = z.enum(workItemSteps);
export const workItemKind = z.enum(workItemKinds);

const count = z.int().min(0);

/** What an application looks like in a response. */
export const versionedApplication = z.object({
  id: z.string(),
  amount: z.number(),
  status: z.enum(applicationStatuses),
  granted: z.array(z.enum(grantSteps)),
  offers: z.object({
    prepared: z.enum(['selected', 'created']).nullable(),
    withCustomer: z.enum(['sent', 'sent-back']).nullable(),
    answerBy: z.string().nullable(),
    expired: z.boolean(),
    outcome: z.enum(['accepted', 'declined']).nullable(),
    written: count,
    everSent: z.boolean(),
    everSentBack: z.boolean(),
  }),
  workItems: z.partialRecord(workItemKind, z.object({ open: count, inWork: count })),
  version: count,
}) satisfies z.ZodType<VersionedApplication>;
