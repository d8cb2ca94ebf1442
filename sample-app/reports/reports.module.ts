import { Module } from '@nestjs/common';
import { ApplicationReport } from './application-report.projection.ts';
import { ReportsController } from './reports.controller.ts';
import { Reports } from './reports.ts';

@Module({
  controllers: [ReportsController],
  providers: [ApplicationReport, Reports],
})
export class ReportsModule {}
