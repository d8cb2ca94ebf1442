import type { Type } from '@nestjs/common';
import { library } from '../library.ts';
import type { Measurement, ScenarioContext } from '../scenario.ts';
import { startApplication } from '../subjects/ours.ts';
import * as totals from './totals.ts';

const { Consumers, EventStore } = library;

/** The consumers, by their names. */
const classes: Readonly<Record<string, Type>> = {
  'set-based': totals.SetBasedTotals,
  'by-event': totals.EventByEventTotals,
  'one-by-one': totals.OneByOneTotals,
  letters: totals.Letters,
};

/** Lets a consumer handle the whole log again and again, after a first pass that warms it up. */
export async function measureCatchUp(
  { url, connections, ready, seconds }: ScenarioContext,
  name: string,
  events: number,
): Promise<Measurement> {
  const application = await startApplication(url, { connections, providers: [classes[name]!] });
  const consumers = application.get(Consumers);
  const end = await application.get(EventStore).currentPosition();
  const wholeLog = () => consumers.waitFor(name, end, { timeoutMs: 300_000 });

  await wholeLog();
  await ready();
  let handled = 0;
  let elapsedMs = 0;
  while (elapsedMs < seconds * 1_000) {
    await consumers.pause(name);
    await consumers.reset(name, 0);
    const started = performance.now();
    await consumers.resume(name);
    await wholeLog();
    elapsedMs += performance.now() - started;
    handled += events;
  }
  await application.close();
  return { value: (handled * 1_000) / elapsedMs };
}
