import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../../support/eventually.ts';
import { startStandby } from '../../support/own-server.ts';
import { killAll } from '../../support/processes.ts';
import { seed } from '../../support/random.ts';
import { tally } from '../../support/tally.ts';
import { startProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { Trial } from '../harness/trial.ts';

describe('applications under load whose primary dies, and whose synchronous standby takes over', () => {
  let trial: Trial | undefined;
  let replication: TcpProxy | undefined;
  afterEach(async () => {
    await trial?.close();
    await replication?.close();
    await killAll();
  });

  it('lose nothing that was acknowledged, although the standby was cut off for a while', async () => {
    trial = await Trial.start({ seed: seed(), proxied: true, hasGuests: true });
    replication = await startProxy(trial.server.url);
    const standby = await startStandby(trial.server, replication.url, { durable: true });
    // Not before: commits would wait for a standby that is not there yet.
    await trial.query(`ALTER SYSTEM SET synchronous_standby_names = '*'`);
    await trial.query('SELECT pg_reload_conf()');
    const isSynchronous = () =>
      trial!.query(`SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'`);
    await eventually(async () => (await isSynchronous()).length === 1);
    await trial.load();
    await delay(trial.choices.integer(300, 800));

    for (const connection of replication.connections) connection.swallow();
    await delay(trial.choices.integer(300, 600));
    await trial.server.goDown('crashed');
    await trial.failOver(standby);
    await trial.recovered();
    await trial.hasAcknowledged(50);
    const report = await trial.finish('failover to a standby');
    tally('F19', report);
    const { findings, acknowledged, unknown } = report;
    expect(findings).toEqual([]);
    expect(acknowledged).toBeGreaterThan(50);
    expect(unknown).toBeGreaterThan(0);
  });
});
