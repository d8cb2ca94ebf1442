import 'reflect-metadata';
import { setTimeout as delay } from 'node:timers/promises';
import { DataSource } from 'typeorm';
import { consumer, startConsumers } from '../../support/consumers.ts';
import { offer, startValue } from '../../support/process-calls.ts';
import { Counted, openStore } from '../../support/store.ts';
import { Uploaded } from './uploaded.ts';

const { url } = startValue() as { readonly url: string };
const dataSource = await new DataSource({
  type: 'postgres',
  url,
  installExtensions: false,
}).initialize();
const store = await openStore(dataSource, { events: [Counted, Uploaded] });

const functions = {
  /** Reads all of the log as a stream; returns how many events it had. */
  async stream(): Promise<number> {
    let count = 0;
    for await (const record of store.stream()) {
      count += 1;
      // Other work of the application, as between two requests.
      if (record.position % 50 === 0) await delay(1);
    }
    return count;
  },
  async streamByAggregate(id: string): Promise<number> {
    let count = 0;
    for await (const _ of store.streamByAggregate({ type: 'file', id })) count += 1;
    return count;
  },
  /** Runs consumers of every kind from the start of the log; returns how many events each was given. */
  async consume(timeoutMs: number): Promise<number[]> {
    const counts = [0, 0, 0, 0];
    const consumers = counts.map((_, n) =>
      consumer(
        `files-${n}`,
        async (records) => {
          counts[n]! += records.length;
        },
        { events: [Uploaded], kind: n % 2 ? 'handler' : 'projection' },
      ),
    );
    const { control, stop } = await startConsumers(dataSource, store, consumers);
    const position = await store.currentPosition();
    for (const { name } of consumers) await control.waitFor(name, position, { timeoutMs });
    await stop();
    return counts;
  },
};
export type LargeReader = typeof functions;

offer(functions, () => dataSource.destroy());
