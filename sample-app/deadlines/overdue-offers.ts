import { type BeforeApplicationShutdown, Injectable, Logger } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { DataSource } from 'typeorm';
import { MoveApplication } from '../applications/commands/move-application.ts';
import { DeskClock } from './desk-clock.ts';

/** Makes offers expire that were not answered in time. */
@Injectable()
export class OverdueOffers implements BeforeApplicationShutdown {
  private readonly logger = new Logger(OverdueOffers.name);
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly dataSource: DataSource,
    private readonly commands: CommandBus,
    private readonly clock: DeskClock,
  ) {}

  /**
   * Asks every application with an overdue offer to let it expire.
   *
   * The list may lag, so each application decides by its own state. Two concurrent calls do no harm.
   */
  async expire(): Promise<void> {
    const now = this.clock.now();
    const overdue = await this.dataSource.query<{ id: string }[]>(
      `SELECT application_id AS id FROM offer_deadlines
       WHERE answer_by <= $1
       ORDER BY answer_by`,
      [now],
    );
    for (const { id } of overdue) {
      await this.commands.execute(new MoveApplication(id, 'offers/expire', { at: now }));
    }
  }

  /** Calls `expire` once a minute, until the application shuts down. */
  expireEveryMinute(): void {
    this.timer ??= setInterval(() => {
      this.expire().catch((error: unknown) => this.logger.error(error));
    }, 60_000);
  }

  beforeApplicationShutdown(): void {
    clearInterval(this.timer);
  }
}
