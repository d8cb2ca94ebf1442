import { Injectable, type OnModuleInit } from '@nestjs/common';
import { DataSource } from 'typeorm';

/** A letter that the desk has written to an applicant. */
export interface Letter {
  readonly text: string;
  readonly writtenAt: Date;
}

/** The letters of the desk, at most one for each event. */
@Injectable()
export class Letters implements OnModuleInit {
  constructor(private readonly dataSource: DataSource) {}

  async onModuleInit(): Promise<void> {
    await this.dataSource.query(`
      CREATE TABLE IF NOT EXISTS letters (
        event_id uuid PRIMARY KEY,
        application_id text NOT NULL,
        text text NOT NULL,
        written_at timestamptz NOT NULL DEFAULT clock_timestamp()
      );
      CREATE INDEX IF NOT EXISTS letters_application ON letters (application_id, written_at)`);
  }

  /** Writes the letter for an event; does nothing if it is already written. */
  async write(eventId: string, applicationId: string, text: string): Promise<void> {
    await this.dataSource.query(
      `INSERT INTO letters (event_id, application_id, text) VALUES ($1, $2, $3)
       ON CONFLICT (event_id) DO NOTHING`,
      [eventId, applicationId, text],
    );
  }

  async of(applicationId: string): Promise<Letter[]> {
    return this.dataSource.query<Letter[]>(
      `SELECT text, written_at AS "writtenAt" FROM letters
       WHERE application_id = $1
       ORDER BY written_at`,
      [applicationId],
    );
  }
}
