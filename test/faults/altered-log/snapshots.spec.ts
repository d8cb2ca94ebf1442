import { describe, expect, it } from '@jest/globals';
import {
  aggregates,
  choices,
  counter,
  events,
  expectClean,
  publicKey,
  useChainedLog,
} from './use-chained-log.ts';

const given = useChainedLog();
const { behindTheBack, pickEvent } = given;

describe('a snapshot', () => {
  const takeSnapshots = async () => {
    for (const [number, store] of given.stores.entries()) {
      const aggregate = counter(number);
      const version = await store.currentVersion(aggregate);
      await store.snapshot(aggregate, { total: choices.integer(0, 9) }, version - 1);
    }
  };

  it('that is unchanged verifies, in both forms, of events with and without a hash', async () => {
    await takeSnapshots();
    const old = await pickEvent();
    await given.stores[0]!.snapshot(old.aggregate, { total: 1 }, 1);
    const report = await given.verifier.verify({ anchors: given.anchors, publicKey });
    expectClean(report);
    expect(report.snapshots).toBeGreaterThanOrEqual(2);
    await given.stores[0]!.removeEvents(counter(0));
    expectClean(await given.verifier.verify());
  });

  it.each([
    ['state', `snapshot_state = '{"total": 1000000}'`],
    ['binary state', `snapshot_binary = coalesce(snapshot_binary, '') || '\\x01'`],
    ['revision', 'snapshot_revision = 2'],
    ['version', 'snapshot_version = snapshot_version - 1'],
    ['hash', 'snapshot_hash = sha256(snapshot_hash)'],
    ['hash, taken away,', 'snapshot_hash = NULL'],
  ])('whose %s was changed is named, with the hash that it should have', async (_, change) => {
    for (const number of [0, 1]) {
      await takeSnapshots();
      const update = `UPDATE ${aggregates} SET ${change} WHERE id = 'c-${number}'`;
      // With and without the triggers of the store.
      if (number === 0) await behindTheBack(update);
      else await given.dataSource.query(update);
      const [{ version }] = await given.dataSource.query(
        `SELECT snapshot_version::integer AS version FROM ${aggregates} WHERE id = 'c-${number}'`,
      );
      const { findings } = await given.verifier.verify();
      expect(findings).toEqual([
        expect.objectContaining({ kind: 'snapshot', aggregate: counter(number), version }),
      ]);
      expect(findings[0]!.expected).not.toBe(findings[0]!.stored);
      await given.dataSource.query(
        `UPDATE ${aggregates} SET snapshot_version = NULL, snapshot_hash = NULL WHERE id = 'c-${number}'`,
      );
      expectClean(await given.verifier.verify());
    }
  });

  it('is named if the event at its version has another hash now', async () => {
    await takeSnapshots();
    const [{ version, position }] = await given.dataSource.query(
      `SELECT e.version::integer, e.position::integer FROM ${events} AS e
      JOIN ${aggregates} AS g ON g.key = e.aggregate_key AND g.snapshot_version = e.version
      WHERE g.id = 'c-0'`,
    );
    await behindTheBack(`UPDATE ${events} SET hash = sha256('any') WHERE position = ${position}`);
    expect((await given.verifier.verify()).findings).toContainEqual(
      expect.objectContaining({ kind: 'snapshot', aggregate: counter(0), version }),
    );
  });
});
