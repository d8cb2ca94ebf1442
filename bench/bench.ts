/** Runs every subject through every scenario: `npm run bench`, `npm run bench:quick`. */
import { Databases } from './databases.ts';
import { benchOptions, pick } from './options.ts';
import { scenarioTable } from './report/table.ts';
import { run } from './run.ts';
import { scenarios } from './scenarios/index.ts';
import { startServer } from './server.ts';
import { installedSubjects } from './subjects/index.ts';

const options = benchOptions();
const chosen = pick(scenarios, options.only).filter(({ quick }) => quick || !options.quick);
const subjects = pick(await installedSubjects(), options.subjects).filter(
  ({ kind }) => kind !== 'peer' || !options.quick,
);
const server = await startServer();
process.once('SIGINT', () => process.exit(1));
const databases = new Databases(server.url);
try {
  const results = await run(chosen, subjects, databases, options);
  for (const scenario of chosen) console.log(`\n${scenarioTable(scenario, subjects, results)}`);
} finally {
  await databases.dropAll();
  await server.stop();
}
