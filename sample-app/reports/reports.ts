import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { Report } from './report.ts';

/** Reads the report as of the last count, which may lag behind the log. */
@Injectable()
export class Reports {
  constructor(private readonly dataSource: DataSource) {}

  async current(): Promise<Report> {
    const [report] = await this.dataSource.query<[Report]>('SELECT * FROM application_report');
    return report;
  }
}
