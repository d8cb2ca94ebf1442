import { parseArgs } from 'node:util';
import { z } from 'zod';
import { replayLog } from './replay/replay-log.ts';
import { runOnLoanDesk } from './run-on-loan-desk.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    schema: { type: 'string', default: 'loan_desk' },
    'in-flight': { type: 'string', default: '256' },
    rebuild: { type: 'boolean', default: false },
  },
});
const [file] = positionals;

if (file) {
  const inFlight = z.coerce.number().int().min(1).parse(values['in-flight']);
  await runOnLoanDesk(values.schema, async ({ app }, interruption) => {
    const agree = await replayLog(app, file, { inFlight, interruption, rebuild: values.rebuild });
    if (agree) console.log(`npm start -- --schema ${values.schema} shows them again.`);
    return agree;
  });
} else {
  console.error(
    'Usage: npm run replay -- FILE.csv.gz [--schema NAME] [--in-flight NUMBER] [--rebuild]',
  );
  process.exitCode = 1;
}
