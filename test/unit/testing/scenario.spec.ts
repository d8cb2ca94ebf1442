import { AssertionError } from 'node:assert';
import { describe, expect, it } from '@jest/globals';
import { AggregateRoot } from '@nestjs/cqrs';
import { z } from 'zod';
import { DomainEvent } from '../../../lib/events/domain-event.decorator.ts';
import { BinaryCodec } from '../../../lib/events/payload/binary.codec.ts';
import { InvalidEventError, UnregisteredEventError } from '../../../lib/events/events.errors.ts';
import { scenario } from '../../../lib/testing/scenario.ts';

@DomainEvent('door.opened', { dates: ['at'] })
class DoorOpened {
  constructor(readonly at: Date) {}
}

@DomainEvent('door.closed')
class DoorClosed {
  constructor(readonly by?: string) {}
}

@DomainEvent('door.photographed')
class DoorPhotographed {
  constructor(readonly picture: Uint8Array) {}
}

@DomainEvent('door.painted', { schema: z.object({}).refine(async () => true) })
class DoorPainted {}

class DoorSlammed {
  readonly loud = true;
}

class DoorIsOpenError extends Error {
  constructor() {
    super('The door is open already.');
  }
}

class Door extends AggregateRoot<object> {
  openedAt: Date | undefined;

  constructor(readonly id: string) {
    super();
  }

  open(at: Date): void {
    if (this.openedAt) throw new DoorIsOpenError();
    this.apply(new DoorOpened(at));
  }

  close(): void {
    if (this.openedAt) this.apply(new DoorClosed());
  }

  onDoorOpened(event: DoorOpened): void {
    this.openedAt = event.at;
  }

  onDoorClosed(): void {
    this.openedAt = undefined;
  }
}

const morning = new Date('2026-11-23T06:00:00Z');
const noon = new Date('2026-11-23T12:00:00Z');
const opened = scenario(Door)
  .given(new DoorOpened(morning))
  .when(() => undefined);

describe('scenario', () => {
  it('passes if exactly the expected events came', () => {
    scenario(Door)
      .when((door) => door.open(morning))
      .then(new DoorOpened(morning));
    scenario(Door)
      .given(new DoorOpened(morning), new DoorClosed('Ada'))
      .given(new DoorOpened(noon))
      .when((door) => door.close())
      .then(new DoorClosed());
    scenario(Door)
      .when((door) => door.close())
      .then();
  });

  it.each([
    ['other data', new DoorOpened(noon)],
    ['another class', new DoorClosed()],
    ['nothing'],
    ['one more', new DoorOpened(morning), new DoorClosed()],
  ])('fails if it expects %s', (_, ...events) => {
    const outcome = scenario(Door).when((door) => door.open(morning));
    expect(() => outcome.then(...(events as object[]))).toThrow(AssertionError);
  });

  it('shows what differs', () => {
    const outcome = scenario(Door).when((door) => door.open(morning));
    expect(() => outcome.then(new DoorOpened(noon))).toThrow(
      /\+ {5}at: 2026-11-23T06.*\n- {5}at: 2026-11-23T12/,
    );
  });

  it('gives the aggregate the id from the options', () => {
    scenario(Door, { id: 'front' })
      .when(() => undefined)
      .thenState((door) => door.id === 'front');
  });

  it('passes if the expected error was thrown', () => {
    const outcome = scenario(Door)
      .given(new DoorOpened(morning))
      .when((door) => door.open(noon));
    outcome.thenThrows(DoorIsOpenError);
    outcome.thenThrows(Error);
    outcome.thenThrows(/open already/);
    expect(() => outcome.thenThrows(/closed/)).toThrow(AssertionError);
    expect(() => outcome.thenThrows(TypeError)).toThrow(DoorIsOpenError);
  });

  it('does not hide an error that was not expected', () => {
    const outcome = scenario(Door)
      .given(new DoorOpened(morning))
      .when((door) => door.open(noon));
    expect(() => outcome.then(new DoorOpened(noon))).toThrow(DoorIsOpenError);
    expect(() => outcome.thenState(() => true)).toThrow(DoorIsOpenError);
  });

  it('names the events that came instead of an error', () => {
    const outcome = scenario(Door).when((door) => door.open(morning));
    expect(() => outcome.thenThrows(DoorIsOpenError)).toThrow(
      /Expected DoorIsOpenError .* DoorOpened/,
    );
    expect(() => outcome.thenThrows(/already/)).toThrow(/Expected \/already\//);
  });

  it('hands over the state', () => {
    opened.thenState((door) => expect(door.openedAt).toEqual(morning));
    opened.thenState((door) => door.openedAt?.getTime() === morning.getTime());
    expect(() => opened.thenState((door) => door.openedAt === undefined)).toThrow(AssertionError);
    expect(() => opened.thenState((door) => expect(door.openedAt).toBe(noon))).toThrow(/toBe/);
  });

  it('gives the aggregate events as a store gives them back', () => {
    let heard: object | undefined;
    class Listener extends Door {
      override onDoorOpened(event: DoorOpened): void {
        heard = event;
      }
    }
    const event = new DoorOpened(morning);
    scenario(Listener).given(event);
    expect(heard).toBeInstanceOf(DoorOpened);
    expect(heard).toEqual(event);
    expect(heard).not.toBe(event);
  });

  it('fails for events that no store would accept', () => {
    expect(() => scenario(Door).given(new DoorSlammed())).toThrow(UnregisteredEventError);
    expect(() => scenario(Door).given(new DoorOpened(new Date(NaN)))).toThrow(InvalidEventError);
    expect(() => opened.then(new DoorClosed('\0'))).toThrow(InvalidEventError);
    const photographed = scenario(Door).when((door) =>
      door.apply(new DoorPhotographed(Uint8Array.of(1))),
    );
    expect(() => photographed.then()).toThrow(InvalidEventError);
  });

  it('lets the codec of the store decide what can be stored', () => {
    scenario(Door, { codec: new BinaryCodec() })
      .when((door) => door.apply(new DoorPhotographed(Uint8Array.of(1))))
      .then(new DoorPhotographed(Uint8Array.of(1)));
  });

  it('refuses promises, and cannot be awaited', async () => {
    scenario(Door)
      .when((): unknown => Promise.reject(new Error('late')))
      .thenThrows(/promise/);
    expect(() => scenario(Door).given(new DoorPainted())).toThrow(/promise/);
    await expect(Promise.resolve(opened)).rejects.toThrow(/not a promise/);
  });
});
