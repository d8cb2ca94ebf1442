import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { type EventRecord, EventStore } from 'nest-event-store';
import { ApplicationReport, type Report } from './application-report.ts';

/**
 * Keeps the report in step with the log: every record is counted once, in the order of positions.
 *
 * The report lives in memory and is read from the log at start. From then on records are pushed by
 * the event bus, at most once and perhaps late; whenever one is not the next of the log, what lies
 * between is read from the store.
 */
@Injectable()
export class ReportKeeper implements OnApplicationBootstrap {
  private readonly report = new ApplicationReport();
  private lastTurn: Promise<void> = Promise.resolve();

  constructor(private readonly store: EventStore) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.inTurn(() => this.readOn());
  }

  /** Takes a record that was pushed. */
  async take(record: EventRecord): Promise<void> {
    await this.inTurn(async () => {
      const comparison = this.store.compareVersion(this.report.position, record.position);
      if (comparison === 'next') this.report.count(record);
      if (comparison === 'future') await this.readOn();
    });
  }

  /** Returns the report of everything that stands in the log now. */
  async current(): Promise<Report> {
    await this.inTurn(() => this.readOn());
    return this.report.toReport();
  }

  private async readOn(): Promise<void> {
    for await (const record of this.store.stream(this.report.position)) {
      this.report.count(record);
    }
  }

  // One at a time: two that read the log at once would count the same records twice.
  private inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.lastTurn.then(work);
    this.lastTurn = turn.catch(() => undefined);
    return turn;
  }
}
