import type { DataSource } from 'typeorm';
import { EventRegistry } from '../../lib/events/event-registry.ts';
import { postgresConsumers } from '../../lib/postgres/subscriptions/postgres.consumers.ts';
import type { OperatorLog } from '../../lib/store/operator-log.ts';
import type { Consumer } from '../../lib/subscriptions/consumer.ts';
import type { ConsumerRegistry } from '../../lib/subscriptions/consumer-registry.ts';
import { ConsumerHost } from '../../lib/subscriptions/running/consumer-host.ts';
import { describeError } from '../../lib/postgres/subscriptions/describe-error.ts';
import {
  type ConsumerOptions,
  resolveConsumerOptions,
} from '../../lib/subscriptions/consumer-options.ts';
import { Consumers, type WaitOptions } from '../../lib/subscriptions/control/consumers.ts';
import { Counted, type TestStore } from './store.ts';

/** A consumer without a class: of `Counted`, eventual, from the start of the log. */
export function consumer(
  name: string,
  deliver: Consumer['deliver'],
  {
    kind = 'projection',
    hooks = {},
    events = [Counted],
    ...options
  }: ConsumerOptions & Partial<Pick<Consumer, 'kind' | 'hooks' | 'events'>> = {},
): Consumer {
  const { settings, problems } = resolveConsumerOptions(name, options, 'start');
  if (problems.length > 0) throw new Error(problems.join('\n'));
  return { name, kind, events, settings, hooks, deliver };
}

/** Waits two minutes by default, however slow the machine is. */
class PatientConsumers extends Consumers {
  override waitFor(name: string, position: number, options: WaitOptions = {}): Promise<void> {
    return super.waitFor(name, position, { timeoutMs: 120_000, ...options });
  }
}

/** The consumers of one process. */
export interface TestProcess {
  readonly control: Consumers;
  readonly host: ConsumerHost;
  readonly registry: ConsumerRegistry;
  readonly log: OperatorLog;
  /** What was logged. */
  readonly messages: string[];
  stop(): Promise<void>;
}

/** Runs consumers as a process of its own would, beside others on the same store. */
export async function startConsumers(
  dataSource: DataSource,
  store: TestStore,
  consumers: readonly Consumer[],
  { leaseMs = 1_000, pollIntervalMs = 100, listen = true } = {},
): Promise<TestProcess> {
  const events = new EventRegistry();
  for (const each of consumers) for (const event of each.events) events.register(event);
  const messages: string[] = [];
  const note = (message: string, error?: unknown): void => {
    messages.push(error === undefined ? message : `${message} ${describeError(error)}`);
  };
  const log = { warn: note, error: note };
  const parts = postgresConsumers(dataSource, {
    schema: store.schema,
    preparedStatements: true,
    listen,
  });
  const host = new ConsumerHost(
    {
      ...parts,
      store,
      storedTypes: (classes) => events.namesReadAs(classes),
      log,
    },
    { leaseMs, pollIntervalMs },
  );
  const control = new PatientConsumers(store, parts.registry, {
    consumers: new Map(consumers.map((each) => [each.name, each])),
    announce: () => host.announce(),
  });
  await host.start(consumers);
  const { registry } = parts;
  return { control, host, registry, log, messages, stop: () => host.stop() };
}
