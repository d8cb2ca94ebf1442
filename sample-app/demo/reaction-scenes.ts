import type { INestApplicationContext } from '@nestjs/common';
import { z } from 'zod';
import { DeskClock } from '../deadlines/desk-clock.ts';
import { OverdueOffers } from '../deadlines/overdue-offers.ts';
import { untilCaughtUp } from '../playback/caught-up.ts';
import { rebuildReport } from '../reports/rebuild-report.ts';
import type { LoanDesk } from '../start-loan-desk.ts';

const application = z.looseObject({ id: z.string(), status: z.string() });
const letters = z.array(z.looseObject({ text: z.string() }));

/** An applicant does not answer: the offer expires, the application is closed, letters go out. */
export async function showUnansweredOffer({ app, url }: LoanDesk): Promise<void> {
  console.log('\nAn offer that is not answered');
  const { id } = await post(`${url}/applications`, { amount: 4000 });
  const place = `${url}/applications/${id}`;
  for (const step of ['partly-submit', 'preaccept', 'accept', 'finalize']) {
    await post(`${place}/${step}`);
  }
  for (const step of ['select', 'create', 'send']) await post(`${place}/offers/${step}`);
  await untilCaughtUp(app);

  console.log('  31 days go by …');
  app.get(DeskClock).putForward(31);
  await app.get(OverdueOffers).expire();
  // First the offer expires, and then, because of that, the application is closed.
  await untilCaughtUp(app);
  await untilCaughtUp(app);
  const { status } = application.parse(await (await fetch(place)).json());
  console.log(`  GET ${new URL(place).pathname}: it is ${status}`);
  console.log('  and its letters:');
  for (const { text } of letters.parse(await (await fetch(`${place}/letters`)).json())) {
    console.log(`    ${text}`);
  }
}

/** The report is built again beside the report in use, and then replaces it. */
export async function showRebuild(app: INestApplicationContext): Promise<void> {
  console.log('\nA rebuild of the report');
  const { rebuilt, meanwhile, seconds } = await rebuildReport(app, (percent) =>
    console.log(`  ${percent} % is built, and the old report answers`),
  );
  console.log(
    `  ${rebuilt.events} events counted again in ${seconds.toFixed(1)} s; meanwhile the old report ` +
      `answered ${meanwhile.length} times`,
  );
}

async function post(url: string, body: object = {}): Promise<z.output<typeof application>> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  return application.parse(await response.json());
}
