const assert = require('node:assert/strict');

/**
 * Boots an application on the packed library, appends one event, reads it back, and waits until its
 * consumers have handled it.
 *
 * Takes the names that the application imported, so that the same code checks what `import` and
 * what `require` find.
 */
exports.appendAndRead = async function appendAndRead({
  Module,
  NestFactory,
  CqrsModule,
  EventsHandler,
  TypeOrmModule,
  Consumers,
  DataSource,
  DomainEvent,
  Durable,
  EventStore,
  EventStoreModule,
  On,
  Projection,
}) {
  class AccountOpened {
    constructor(owner) {
      this.owner = owner;
    }
  }
  DomainEvent('account.opened')(AccountOpened);

  /** Writes down the owners; a plain class, decorated by hand. */
  const owners = (name, mode) => {
    class Owners {
      async prepare({ generation, manager }) {
        await manager.query(`CREATE TABLE ${name}_${generation} (owner text)`);
      }

      async opened({ owner }, _record, { generation, manager }) {
        await manager.query(`INSERT INTO ${name}_${generation} VALUES ($1)`, [owner]);
      }
    }
    On(AccountOpened)(Owners.prototype, 'opened', {});
    Projection(name, { mode })(Owners);
    return Owners;
  };

  const letters = [];
  class Letters {
    async handle({ owner }) {
      letters.push(owner);
    }
  }
  Durable('letters')(Letters);
  EventsHandler(AccountOpened)(Letters);

  class AppModule {}
  Module({
    imports: [
      TypeOrmModule.forRoot({ type: 'postgres', url: process.env.DATABASE_URL }),
      CqrsModule.forRoot(),
      EventStoreModule.forRoot(),
      EventStoreModule.forFeature({ events: [AccountOpened] }),
    ],
    providers: [owners('eventual_owners', 'eventual'), owners('inline_owners', 'inline'), Letters],
  })(AppModule);

  const app = await NestFactory.createApplicationContext(AppModule, { logger: ['warn', 'error'] });
  const store = app.get(EventStore);
  const account = { type: 'account', id: 'ada' };
  const { version, position } = await store.append(account, [new AccountOpened('Ada')]);
  const { records } = await store.fetch();
  assert.equal(version, 1);
  assert.equal(records.length, 1);
  assert.ok(records[0].event instanceof AccountOpened);
  assert.equal(records[0].event.owner, 'Ada');

  const consumers = app.get(Consumers);
  for (const name of ['eventual_owners', 'inline_owners', 'letters']) {
    await consumers.waitFor(name, position);
  }
  assert.deepEqual(letters, ['Ada']);
  for (const table of ['eventual_owners_1', 'inline_owners_1']) {
    const rows = await app.get(DataSource).query(`SELECT owner FROM ${table}`);
    assert.deepEqual(rows, [{ owner: 'Ada' }]);
  }
  await app.close();
};
