const assert = require('node:assert/strict');

/**
 * Boots an application on the packed library, appends one event and reads it back.
 *
 * Takes the names that the application imported, so that the same code checks what `import` and
 * what `require` find.
 */
exports.appendAndRead = async function appendAndRead({
  Module,
  NestFactory,
  CqrsModule,
  TypeOrmModule,
  DomainEvent,
  EventStore,
  EventStoreModule,
}) {
  class AccountOpened {
    constructor(owner) {
      this.owner = owner;
    }
  }
  DomainEvent('account.opened')(AccountOpened);

  class AppModule {}
  Module({
    imports: [
      TypeOrmModule.forRoot({ type: 'postgres', url: process.env.DATABASE_URL }),
      CqrsModule.forRoot(),
      EventStoreModule.forRoot(),
      EventStoreModule.forFeature({ events: [AccountOpened] }),
    ],
  })(AppModule);

  const app = await NestFactory.createApplicationContext(AppModule, { logger: ['warn', 'error'] });
  const store = app.get(EventStore);
  const account = { type: 'account', id: 'ada' };
  const { version } = await store.append(account, [new AccountOpened('Ada')]);
  const { records } = await store.fetch();
  assert.equal(version, 1);
  assert.equal(records.length, 1);
  assert.ok(records[0].event instanceof AccountOpened);
  assert.equal(records[0].event.owner, 'Ada');
  await app.close();
};
