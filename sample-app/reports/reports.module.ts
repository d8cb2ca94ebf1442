import { Module } from '@nestjs/common';
import { ReportKeeper } from './report-keeper.ts';
import { ReportHandler } from './report.handler.ts';
import { ReportsController } from './reports.controller.ts';

@Module({
  controllers: [ReportsController],
  providers: [ReportKeeper, ReportHandler],
  exports: [ReportKeeper],
})
export class ReportsModule {}
