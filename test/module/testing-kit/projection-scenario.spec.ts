import { AssertionError } from 'node:assert';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { Column, DataSource, Entity, PrimaryColumn } from 'typeorm';
import {
  currentDelivery,
  EventData,
  InvalidEventError,
  On,
  OnBatch,
  Projection,
  type EventRecord,
  type GenerationHooks,
  type GenerationScope,
  type ProjectionContext,
} from 'nest-event-store';
import { projectionScenario } from 'nest-event-store/testing';
import { account, AccountClosed, AccountOpened, LetterDue } from './accounts.ts';
import { useDatabase } from '../../support/use-store.ts';

const database = useDatabase();

describe('projectionScenario', () => {
  let dataSource: DataSource;

  @Entity('account_list')
  class Account {
    @PrimaryColumn('text')
    readonly id!: string;

    @Column('text')
    readonly owner!: string;
  }

  beforeAll(async () => {
    dataSource = await database.dataSource({ entities: [Account], extra: { max: 1 } });
  });

  class AccountTables implements GenerationHooks {
    async prepare({ generation, manager }: GenerationScope): Promise<void> {
      await manager.query(
        `CREATE TABLE account_list_${generation} (id text PRIMARY KEY, owner text, place text)`,
      );
    }

    async activate({ generation, manager }: GenerationScope): Promise<void> {
      await manager.query(`CREATE VIEW account_list AS SELECT * FROM account_list_${generation}`);
    }
  }

  @Injectable()
  @Projection('account-list')
  class AccountList extends AccountTables {
    @On(AccountOpened)
    async opened(
      { owner }: AccountOpened,
      { aggregate, position, version }: EventRecord,
      { manager, generation }: ProjectionContext,
    ): Promise<void> {
      await manager.query(`INSERT INTO account_list_${generation} VALUES ($1, $2, $3)`, [
        aggregate.id,
        owner,
        `${aggregate.type} ${position} ${version}`,
      ]);
    }

    @On(AccountClosed)
    async closed(
      _event: AccountClosed,
      { aggregate }: EventRecord,
      { manager }: ProjectionContext,
    ): Promise<void> {
      await manager.query('DELETE FROM account_list_1 WHERE id = $1', [aggregate.id]);
    }
  }

  const tables = async (): Promise<string[]> => {
    const rows = await dataSource.query<{ name: string }[]>(
      `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'`,
    );
    return rows.map(({ name }) => name);
  };

  it('compares rows after events of several aggregates, and keeps none', async () => {
    const accounts = projectionScenario(AccountList, { dataSource })
      .given('1', new AccountOpened('Ada'))
      .given(account('2'), new LetterDue(1), new AccountOpened('Bob'))
      .given('1', new AccountClosed(), new AccountOpened('Cy'));
    await accounts.then('SELECT * FROM account_list ORDER BY id', [
      { id: '1', owner: 'Cy', place: 'scenario 5 3' },
      { id: '2', owner: 'Bob', place: 'account 3 2' },
    ]);
    await accounts.then(
      (manager) => manager.find(Account, { order: { owner: 'ASC' } }),
      [
        { id: '2', owner: 'Bob' },
        { id: '1', owner: 'Cy' },
      ],
    );
    expect(await tables()).toEqual([]);
  });

  it('fails with the difference', async () => {
    const failed = projectionScenario(new AccountList(), { dataSource })
      .given('1', new AccountOpened('Ada'))
      .then('SELECT owner FROM account_list', [{ owner: 'Bob' }]);
    await expect(failed).rejects.toThrow(AssertionError);
    await expect(failed).rejects.toMatchObject({
      generatedMessage: true,
      actual: [{ owner: 'Ada' }],
      expected: [{ owner: 'Bob' }],
    });
    await projectionScenario(AccountList, { dataSource }).then('SELECT * FROM account_list', []);
    expect(await tables()).toEqual([]);
  });

  it('expects an error that a projection throws', async () => {
    const twice = projectionScenario(AccountList, { dataSource })
      .given('1', new AccountOpened('Ada'))
      .given('1', new AccountOpened('Ada'));
    await twice.thenThrows(/duplicate key/);
    await expect(twice.then('SELECT 1', [])).rejects.toThrow('duplicate key');
    const once = projectionScenario(AccountList, { dataSource }).given('1', new AccountClosed());
    await expect(once.thenThrows(Error)).rejects.toThrow(AssertionError);
    expect(await tables()).toEqual([]);
  });

  it('detects a projection that depends on how the log is cut into batches', async () => {
    class Batches extends AccountTables {
      protected async write(
        records: readonly EventRecord[],
        { manager }: ProjectionContext,
        onConflict: string,
      ): Promise<void> {
        await manager.query(
          `INSERT INTO account_list_1 VALUES ('sum', $1) ON CONFLICT (id) ${onConflict}`,
          [records.length],
        );
      }
    }

    @Projection('sums')
    class Sums extends Batches {
      @OnBatch(AccountOpened)
      count(records: readonly EventRecord[], context: ProjectionContext): Promise<void> {
        const sum = 'account_list_1.owner::integer + excluded.owner::integer';
        return this.write(records, context, `DO UPDATE SET owner = (${sum})`);
      }
    }

    @Projection('lasts')
    class Lasts extends Batches {
      @OnBatch(AccountOpened)
      count(records: readonly EventRecord[], context: ProjectionContext): Promise<void> {
        return this.write(records, context, 'DO UPDATE SET owner = excluded.owner');
      }
    }

    @Projection('firsts')
    class Firsts extends Batches {
      @OnBatch(AccountOpened)
      async count(records: readonly EventRecord[], { manager }: ProjectionContext): Promise<void> {
        await manager.query(`INSERT INTO account_list_1 VALUES ('sum', $1)`, [records.length]);
      }
    }

    const outcomeOf = (projection: new () => object): Promise<void> =>
      projectionScenario(projection, { dataSource })
        .given('1', new AccountOpened('Ada'))
        .given('2', new AccountOpened('Bob'))
        .then('SELECT owner FROM account_list', [{ owner: '2' }]);

    await outcomeOf(Sums);
    await expect(outcomeOf(Lasts)).rejects.toThrow(
      /'lasts' gives the expected rows for all events in one batch, but not .* how the log is cut/,
    );
    await expect(outcomeOf(Lasts)).rejects.toMatchObject({ actual: [{ owner: '1' }] });
    await expect(outcomeOf(Firsts)).rejects.toThrow(/how the log is cut.*duplicate key/);
  });

  it('passes the same as the store would: stored events, metadata, the delivery', async () => {
    const seen: unknown[] = [];
    const noon = new Date('2026-11-23T12:00:00Z');

    @Projection('spy', { aggregateTypes: ['account', 'club'] })
    class Spy {
      @On(AccountOpened)
      note(event: AccountOpened, record: EventRecord, { generation }: ProjectionContext): void {
        const { aggregate, metadata, recordedAt } = record;
        seen.push({ at: event.at, aggregate, metadata, recordedAt, generation });
        expect(event).toBeInstanceOf(AccountOpened);
        expect(currentDelivery()).toMatchObject({ consumer: 'spy', replayed: false, attempt: 1 });
      }
    }
    const given = new AccountOpened('Ada', noon);
    await projectionScenario(new Spy(), { dataSource, recordedAt: noon })
      .given('1', new EventData(given, { metadata: { actor: 'eve' } }))
      .given({ type: 'house', id: '1' }, new AccountOpened('nobody'))
      .then('SELECT 1 AS one', [{ one: 1 }]);
    const once = {
      at: noon,
      aggregate: account('1'),
      metadata: { actor: 'eve' },
      recordedAt: noon,
      generation: 1,
    };
    expect(seen).toEqual([once, once]);
  });

  it('refuses a class that is no projection, an event that cannot be stored, and an await', async () => {
    class Plain {}
    class Injected extends AccountList {
      constructor(readonly script: object) {
        super();
      }
    }
    @Projection('empty')
    class Empty {}
    expect(() => projectionScenario(Plain, { dataSource })).toThrow(
      'The class Plain has no @Projection',
    );
    expect(() => projectionScenario(Injected, { dataSource })).toThrow(
      'Give the scenario an instance',
    );
    expect(() => projectionScenario(Empty, { dataSource })).toThrow(/'empty'.* takes no event/);

    const empty = projectionScenario(AccountList, { dataSource });
    const unstorable = new AccountOpened('A\u0000da');
    await expect(empty.given('1', unstorable).then('SELECT 1', [])).rejects.toThrow(
      InvalidEventError,
    );
    await expect(Promise.resolve(empty as unknown)).rejects.toThrow('do not await given(…)');
  });
});
