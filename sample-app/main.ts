import { parseArgs } from 'node:util';
import { formatReport } from './reports/format-report.ts';
import { ReportKeeper } from './reports/report-keeper.ts';
import { startLoanDesk } from './start-loan-desk.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: process.env['PORT'] ?? '3000' },
    schema: { type: 'string', default: 'loan_desk' },
  },
});

const { app, url, stop } = await startLoanDesk({
  schema: values.schema,
  port: Number(values.port),
});
console.log(formatReport(await app.get(ReportKeeper).current()));
console.log(`The loan desk listens at ${url}. OpenAPI: ${url}/api, report: ${url}/report`);

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => void stop().then(() => process.exit()));
}
