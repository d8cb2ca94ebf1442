/** Runs every subject through every scenario: `npm run bench`, `npm run bench:quick`. */
import { Databases } from './databases.ts';
import { installPeers } from './install-peers.ts';
import { benchOptions, pick } from './options.ts';
import { barsTable } from './report/bars-table.ts';
import { writeFiles } from './report/files.ts';
import { columns, scenarioTable } from './report/table.ts';
import { run } from './run.ts';
import { scenarios as allScenarios } from './scenarios/index.ts';
import { describeEnvironment, startServer } from './server.ts';
import { installedSubjects } from './subjects/index.ts';
import { judge } from './verdict.ts';

const options = benchOptions();
if (!options.quick) installPeers();
const scenarios = pick(allScenarios, options.only).filter(({ quick }) => quick || !options.quick);
const subjects = pick(await installedSubjects(), options.subjects).filter(
  ({ name }) => !options.quick || scenarios.some(({ quick }) => quick?.includes(name)),
);

const server = await startServer();
process.once('SIGINT', () => process.exit(1));
const databases = new Databases(server.url);
try {
  const environment = await describeEnvironment(server.url, subjects);
  console.log(columns(Object.entries(environment)), '\n');
  const results = await run(scenarios, subjects, databases, options);
  for (const scenario of scenarios) console.log(`\n${scenarioTable(scenario, subjects, results)}`);
  const verdicts = judge(results, scenarios, subjects);
  console.log(`\n${barsTable(verdicts)}\n`);
  for (const { scenario, subject, round, error } of results.all) {
    if (error) console.log(`${subject} failed in ${scenario}, round ${round}: ${error}\n`);
  }
  const report = { environment, scenarios, subjects, results, verdicts };
  for (const path of await writeFiles(report)) console.log(`Written: ${path}`);
  const failed = results.all.some(
    ({ subject, error }) => subject === 'ours' && error !== undefined,
  );
  if (options.quick && (failed || verdicts.some(({ fallen }) => fallen))) process.exitCode = 1;
} finally {
  await databases.dropAll();
  await server.stop();
}
