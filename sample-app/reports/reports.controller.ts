import { Controller, Get } from '@nestjs/common';
import { ApiOperation } from '@nestjs/swagger';
import type { Report } from './application-report.ts';
import { ReportKeeper } from './report-keeper.ts';

@Controller('report')
export class ReportsController {
  constructor(private readonly keeper: ReportKeeper) {}

  @Get()
  @ApiOperation({
    summary: 'Show how far the applications got, their amounts and the time it took',
  })
  show(): Promise<Report> {
    return this.keeper.current();
  }
}
