import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { parse } from 'csv-parse';
import { z } from 'zod';

const logRow = z
  .object({
    application_id: z.string().min(1),
    amount_requested: z.coerce.number().int().nonnegative(),
    activity: z.string(),
    lifecycle: z.enum(['SCHEDULE', 'START', 'COMPLETE']),
    timestamp: z.iso.datetime({ offset: true }),
    resource: z.string(),
  })
  .transform((row) => ({
    applicationId: row.application_id,
    amount: row.amount_requested,
    activity: row.activity,
    lifecycle: row.lifecycle,
    at: new Date(row.timestamp),
    /** The clerk; empty if the log names none. */
    resource: row.resource,
  }));

export type LogRow = z.output<typeof logRow>;

/** Reads a log, gzipped CSV, and returns the rows of every application in the order of the file. */
export async function readLog(path: string): Promise<Map<string, LogRow[]>> {
  const applications = new Map<string, LogRow[]>();
  await pipeline(
    createReadStream(path),
    createGunzip(),
    parse({ columns: true }),
    async (rows: AsyncIterable<unknown>) => {
      for await (const unchecked of rows) {
        const row = logRow.parse(unchecked);
        const others = applications.get(row.applicationId);
        if (others) others.push(row);
        else applications.set(row.applicationId, [row]);
      }
    },
  );
  return applications;
}
