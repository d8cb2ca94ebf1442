import { parseArgs } from 'node:util';
import { replayLog } from './replay/replay-log.ts';
import { startLoanDesk } from './start-loan-desk.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    schema: { type: 'string', default: 'loan_desk' },
    'in-flight': { type: 'string', default: '256' },
  },
});
const [file] = positionals;

if (file) {
  const { app, stop } = await startLoanDesk({ schema: values.schema, port: 0 });
  try {
    const agree = await replayLog(app, file, { inFlight: Number(values['in-flight']) });
    console.log(
      agree
        ? `Store and report agree. npm start -- --schema ${values.schema} shows them again.`
        : 'The counts do not agree.',
    );
    process.exitCode = agree ? 0 : 1;
  } finally {
    await stop();
  }
} else {
  console.error('Usage: npm run replay -- FILE.csv.gz [--schema NAME] [--in-flight NUMBER]');
  process.exitCode = 1;
}
