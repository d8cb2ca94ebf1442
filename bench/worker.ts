/** The process in which a subject is measured; `measure.ts` starts it. */
import { offer, startValue } from '../test/support/process-calls.ts';
import { newPayments, storedAggregate } from './payment.ts';
import type { Measurement, Stored } from './scenario.ts';
import { scenarios } from './scenarios/index.ts';
import type { OpenSubject } from './subject.ts';
import { loadSubject } from './subjects/index.ts';

/** What a worker is started for. */
export interface Assignment {
  readonly url: string;
  readonly subject: string;
  /** Whether the subject has to make its tables. */
  readonly setUp: boolean;
  readonly connections: number;
  readonly seconds: number;
}

const { url, subject: name, setUp, connections, seconds } = startValue() as Assignment;
const subject = await loadSubject(name);
const opened: OpenSubject[] = [];

async function open(): Promise<OpenSubject> {
  const store = await subject.open(url, { setUp: setUp && opened.length === 0, connections });
  opened.push(store);
  return store;
}

async function close(): Promise<void> {
  await Promise.all(opened.map((store) => store.close()));
}

const fillers = 64;
let measuring: Promise<Measurement | undefined> | undefined;
let start: () => void = () => {};

const functions = {
  /** Runs a scenario until it is warm; `measure` continues it. */
  async warmUp(scenarioName: string): Promise<void> {
    const scenario = scenarios.find((each) => each.name === scenarioName)!;
    const started = new Promise<void>((resolve) => (start = resolve));
    await new Promise<void>((resolve, reject) => {
      const ready = (): Promise<void> => {
        resolve();
        return started;
      };
      measuring = scenario.run({ url, subject, connections, seconds, open, ready });
      // A scenario that the subject cannot take part in is never ready.
      measuring.then(() => resolve(), reject);
    });
  },

  measure(): Promise<Measurement | undefined> {
    start();
    return measuring!;
  },

  /** Stores events through the subject's own append. */
  async fill({ aggregates, eventsEach }: Stored): Promise<void> {
    const store = await open();
    let next = 0;
    await Promise.all(
      Array.from({ length: fillers }, async () => {
        while (next < aggregates) {
          await store.append(storedAggregate(next++), newPayments(eventsEach), 0);
        }
      }),
    );
  },

  close,
};

export type Worker = typeof functions;

offer(functions, close);
