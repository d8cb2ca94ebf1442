import { describe, expect, it } from '@jest/globals';
import { Inject, Injectable, Module } from '@nestjs/common';
import {
  AggregateRepository,
  EventStore,
  EventStoreModule,
  getEventStoreToken,
  InjectAggregateRepository,
  UnknownAggregateError,
} from 'nest-event-store';
import { feature, Parcel, parcel, useParcels } from './use-parcels.ts';

const { newSchema, start, problemsOf } = useParcels();

describe('forFeature', () => {
  it('called twice with equal arguments registers once and provides one repository', async () => {
    @Injectable()
    class Sender {
      constructor(
        @InjectAggregateRepository(Parcel) readonly parcels: AggregateRepository<Parcel>,
      ) {}
    }
    @Injectable()
    class Tracker {
      @InjectAggregateRepository(Parcel) readonly parcels!: AggregateRepository<Parcel>;
      @Inject(getEventStoreToken()) readonly store!: EventStore;
    }
    @Module({ imports: [EventStoreModule.forFeature({ ...feature })], providers: [Sender] })
    class SenderModule {}
    @Module({ imports: [EventStoreModule.forFeature({ ...feature })], providers: [Tracker] })
    class TrackerModule {}

    const application = await start({
      imports: [SenderModule, TrackerModule, EventStoreModule.forRoot({ schema: newSchema() })],
    });
    const sender = application.get(Sender, { strict: false });
    const tracker = application.get(Tracker, { strict: false });
    expect(sender.parcels).toBeInstanceOf(AggregateRepository);
    expect(sender.parcels).toBe(tracker.parcels);
    const sent = new Parcel('p-1');
    sent.send('Bern');
    sent.send('Basel');
    await tracker.parcels.save(sent);
    expect(await tracker.store.getSnapshot(parcel)).toEqual({
      version: 2,
      state: { destination: 'Basel' },
    });
  });

  it.each([
    [undefined, "'default', which does not exist. Add EventStoreModule.forRoot()"],
    ['archive', "'archive', which does not exist. Add EventStoreModule.forRoot()"],
  ])('without a forRoot reports where to add it (store %s)', async (name, message) => {
    const root = name ? [EventStoreModule.forRoot({ schema: newSchema() })] : [];
    const problems = await problemsOf({
      imports: [...root, EventStoreModule.forFeature(feature, name ? { store: name } : {})],
    });
    expect(problems).toEqual([expect.stringContaining(message)]);
    if (name) expect(problems[0]).toContain("with store: 'archive'");
  });

  it('refuses a class that is no aggregate, by its name', () => {
    class Undecorated extends Parcel {}
    expect(() => EventStoreModule.forFeature({ aggregates: [Undecorated] })).toThrow(
      UnknownAggregateError,
    );
    expect(() => InjectAggregateRepository(Undecorated)).toThrow('Undecorated');
  });
});
