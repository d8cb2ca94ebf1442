import { Controller, Get, UseInterceptors } from '@nestjs/common';
import { ApiOperation } from '@nestjs/swagger';
import { ReadYourWrites } from 'nest-event-store';
import type { Report } from './report.ts';
import { Reports } from './reports.ts';

@Controller('report')
@UseInterceptors(ReadYourWrites(['application-report']))
export class ReportsController {
  constructor(private readonly reports: Reports) {}

  @Get()
  @ApiOperation({
    summary: 'Show how far the applications got, their amounts and the time it took',
  })
  show(): Promise<Report> {
    return this.reports.current();
  }
}
