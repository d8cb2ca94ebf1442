import { Injectable } from '@nestjs/common';

/** The current time at the desk; tests and the demo put it forward. */
@Injectable()
export class DeskClock {
  private aheadMs = 0;

  now(): Date {
    return new Date(Date.now() + this.aheadMs);
  }

  putForward(days: number): void {
    this.aheadMs += days * 24 * 3_600_000;
  }
}
