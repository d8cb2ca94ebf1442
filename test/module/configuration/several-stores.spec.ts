import { describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import {
  AggregateRepository,
  EventStore,
  EventStoreModule,
  getAggregateRepositoryToken,
  getEventStoreToken,
  InjectAggregateRepository,
  InjectEventStore,
  ReadYourWrites,
  type StoreSelection,
  UnregisteredEventError,
} from 'nest-event-store';
import { createTestDatabase } from '../../support/database.ts';
import { typeOrm } from '../start-application.ts';
import { feature, InvoiceIssued, parcel, Parcel, ParcelSent, useParcels } from './use-parcels.ts';

const { applications, newSchema, problemsOf, start } = useParcels();

describe('several stores', () => {
  it('in one application do not mix: each has its own data source, schema and classes', async () => {
    const other = await createTestDatabase();
    const schema = newSchema();
    @Injectable()
    class Office {
      constructor(
        readonly parcels: EventStore,
        @InjectEventStore('invoices') readonly invoices: EventStore,
        @InjectEventStore('drafts') readonly drafts: EventStore,
        @InjectAggregateRepository(Parcel) readonly sent: AggregateRepository<Parcel>,
        @InjectAggregateRepository(Parcel, 'drafts') readonly drafted: AggregateRepository<Parcel>,
      ) {}
    }
    const application = await start({
      imports: [
        typeOrm(await other.dataSource(), 'billing'),
        EventStoreModule.forRoot({ schema }),
        EventStoreModule.forRoot({ store: 'invoices', dataSource: 'billing', schema }),
        EventStoreModule.forRoot({ store: 'drafts', schema: newSchema() }),
        EventStoreModule.forFeature(feature),
        EventStoreModule.forFeature({ events: [InvoiceIssued] }, { store: 'invoices' }),
        EventStoreModule.forFeature(feature, { store: 'drafts' }),
      ],
      providers: [Office],
    });
    const { parcels, invoices, drafts, sent, drafted } = application.get(Office);
    expect(new Set([parcels, invoices, drafts]).size).toBe(3);
    expect(application.get(getEventStoreToken())).toBe(parcels);
    expect(application.get(getEventStoreToken('drafts'))).toBe(drafts);
    expect(application.get(getAggregateRepositoryToken(Parcel))).toBe(sent);
    expect(application.get(getAggregateRepositoryToken(Parcel, 'drafts'))).toBe(drafted);

    const inEach = new Parcel('p-2');
    inEach.send('Bern');
    await sent.save(inEach);
    await invoices.append({ type: 'invoice', id: 'i-1' }, [new InvoiceIssued(990)]);
    expect(await drafted.find('p-2')).toBeNull();
    expect((await sent.load('p-2')).destination).toBe('Bern');
    expect((await parcels.fetch()).records.map((record) => record.type)).toEqual(['parcel.sent']);
    expect((await invoices.fetch()).records.map((record) => record.type)).toEqual([
      'invoice.issued',
    ]);
    expect((await drafts.fetch()).records).toEqual([]);
    await expect(parcels.append(parcel, [new InvoiceIssued(1)])).rejects.toThrow(
      UnregisteredEventError,
    );

    await application.close();
    applications.length = 0;
    await other.drop();
  });

  it('in two applications of one process share nothing but the database', async () => {
    const schema = newSchema();
    const imports = [EventStoreModule.forRoot({ schema }), EventStoreModule.forFeature(feature)];
    const [one, two] = await Promise.all([start({ imports }), start({ imports })]);
    expect(one.get(EventStore)).not.toBe(two.get(EventStore));

    const repository = one.get<AggregateRepository<Parcel>>(getAggregateRepositoryToken(Parcel), {
      strict: false,
    });
    const sent = new Parcel('p-1');
    sent.send('Bern');
    await repository.save(sent);
    await one.close();
    applications.splice(applications.indexOf(one), 1);
    expect(await two.get(EventStore).currentVersion(parcel)).toBe(1);
    await expect(
      one.get(EventStore).append(parcel, [new ParcelSent('Basel')]),
    ).rejects.toMatchObject({ code: 'STORE_CLOSED' });
  });

  it('of one name are refused', async () => {
    const imports = [
      EventStoreModule.forRoot({ schema: newSchema() }),
      EventStoreModule.forRoot({ store: 'default', schema: newSchema() }),
    ];
    expect(await problemsOf({ imports })).toEqual([
      expect.stringMatching(/^2 stores are named 'default'\..* forRoot\({ store/),
    ]);
  });

  it.each([5, '', null, 'a\0'])('are not named %p', (store) => {
    const options = { store } as StoreSelection;
    expect(() => EventStoreModule.forRoot(options)).toThrow(/^The name of a store (is|contains) /);
    expect(() => EventStoreModule.forFeature({}, options)).toThrow(TypeError);
    expect(() => ReadYourWrites(['parcels'], options)).toThrow(TypeError);
  });

  it('answer calls in progress when they close, streams and waiting calls included', async () => {
    const application = await start({
      imports: [
        EventStoreModule.forRoot({ schema: newSchema() }),
        EventStoreModule.forFeature(feature),
      ],
    });
    const store = application.get(EventStore);
    const parcels: AggregateRepository<Parcel> = application.get(
      getAggregateRepositoryToken(Parcel),
    );
    await store.append(
      parcel,
      [1, 2, 3, 4, 5].map((n) => new ParcelSent(`${n}`)),
    );
    const stream = store.stream(0, { limit: 1 });
    await stream.next();
    const rest = (async () => {
      for await (const record of stream) void record;
    })();
    const calls = [1, 2, 3].map(() => parcels.execute(parcel.id, (it) => it.send('Basel')));
    const answers = Promise.allSettled([rest, ...calls]);
    await application.close();
    for (const answer of await answers) {
      if (answer.status === 'rejected')
        expect(answer.reason).toMatchObject({ code: 'STORE_CLOSED' });
    }
    await expect(store.fetch()).rejects.toMatchObject({ code: 'STORE_CLOSED' });
  });

  it('answer the calls that were made before they close', async () => {
    const imports = [EventStoreModule.forRoot({ schema: newSchema() })];
    const application = await start({
      imports: [...imports, EventStoreModule.forFeature(feature)],
    });
    applications.length = 0;
    const store = application.get(EventStore);
    const calls = [
      store.fetch(),
      store.currentVersion(parcel),
      store.append(parcel, [new ParcelSent('Basel')]),
      store.transaction(async () => 'done'),
    ];
    await application.close();
    const answers = await Promise.all(calls);
    expect(answers.at(-1)).toBe('done');
  });
});
