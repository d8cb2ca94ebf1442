import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { eventually } from '../../support/eventually.ts';
import {
  type OwnServer,
  type Standby,
  startOwnServer,
  startStandby,
} from '../../support/own-server.ts';
import { Counted, openStore, type TestStore } from '../../support/store.ts';
import { tally } from '../../support/tally.ts';

describe('a store on a standby', () => {
  let primary: OwnServer;
  let standby: Standby;
  let dataSource: DataSource;
  let store: TestStore;
  const aggregate = { type: 'counter', id: 'copied' };

  beforeAll(async () => {
    primary = await startOwnServer();
    standby = await startStandby(primary, primary.url, {});
    const options = { type: 'postgres', installExtensions: false } as const;
    const primarySource = await new DataSource({ ...options, url: primary.url }).initialize();
    await (await openStore(primarySource)).append(aggregate, [new Counted(1)]);
    await primarySource.destroy();
    dataSource = await new DataSource({ ...options, url: standby.url, poolSize: 1 }).initialize();
    await eventually(async () => (store = await openStore(dataSource)));
  });
  afterAll(async () => {
    await dataSource.destroy();
    await standby.stop();
    await primary.stop();
  });

  it('reads aggregates, refuses to read the log, and does both once it is promoted', async () => {
    await eventually(async () => (await store.currentVersion(aggregate)) === 1);
    await expect(store.fetch()).rejects.toMatchObject({
      code: 'READ_ONLY_DATABASE',
      retryable: true,
      message: expect.stringContaining('cannot be read on a standby'),
    });
    await standby.promote();
    const { records } = await store.fetch();
    expect(records).toMatchObject([{ aggregate, version: 1 }]);
    tally('F19', { acknowledged: records.length });
  });
});
