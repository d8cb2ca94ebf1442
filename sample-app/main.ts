import { parseArgs } from 'node:util';
import { OverdueOffers } from './deadlines/overdue-offers.ts';
import { untilCaughtUp } from './playback/caught-up.ts';
import { formatReport } from './reports/format-report.ts';
import { Reports } from './reports/reports.ts';
import { startLoanDesk } from './start-loan-desk.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: process.env['PORT'] ?? '3000' },
    schema: { type: 'string', default: 'loan_desk' },
    // Off by default, because it would add events to a log that was replayed.
    'expire-offers': { type: 'boolean', default: false },
  },
});

const { app, url, stop } = await startLoanDesk({
  schema: values.schema,
  port: Number(values.port),
});
if (values['expire-offers']) app.get(OverdueOffers).expireEveryMinute();
await untilCaughtUp(app);
console.log(formatReport(await app.get(Reports).current()));
console.log(`The loan desk listens at ${url}. OpenAPI: ${url}/api, report: ${url}/report`);

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => void stop().then(() => process.exit()));
}
