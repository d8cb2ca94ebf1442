import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { DomainEvent, domainEventOf } from '../../../lib/events/domain-event.decorator.ts';
import { EventRegistry } from '../../../lib/events/event-registry.ts';
import { UnregisteredEventError } from '../../../lib/events/events.errors.ts';
import { upcaster } from '../../../lib/events/upcaster.ts';

@DomainEvent('offer.sent', { revision: 3, aliases: ['offer.mailed', 'offer.posted'] })
class OfferSent {
  constructor(readonly amount: number) {}
}

@DomainEvent('offer.accepted')
class OfferAccepted {}

@DomainEvent('forgotten')
class Forgotten {}

class OfferSentTwice extends OfferSent {}
class Undecorated {}

function registryOf(...classes: (new (...args: never[]) => object)[]): EventRegistry {
  const registry = new EventRegistry();
  for (const eventClass of classes) registry.register(eventClass);
  return registry;
}

describe('@DomainEvent', () => {
  it('returns name, revision and aliases of its class', () => {
    expect(domainEventOf(OfferSent)).toMatchObject({
      name: 'offer.sent',
      revision: 3,
      aliases: ['offer.mailed', 'offer.posted'],
      dates: [],
      eventClass: OfferSent,
      problems: [],
    });
    expect(domainEventOf(OfferAccepted)).toMatchObject({ revision: 1 });
  });

  it('does not apply to subclasses', () => {
    expect(domainEventOf(OfferSentTwice)).toBeUndefined();
  });

  it.each<[string, RegExp, () => (eventClass: typeof Undecorated) => void]>([
    ['an empty name', /the name must be/, () => DomainEvent('')],
    ['a name with a line break', /the name must be/, () => DomainEvent('a\nb')],
    ['a name that is not text', /the name must be/, () => DomainEvent('\ud800')],
    ['a name of 256 bytes', /the name must be/, () => DomainEvent('é'.repeat(128))],
    ['revision 0', /`revision`/, () => DomainEvent('a', { revision: 0 })],
    ['revision 1.5', /`revision`/, () => DomainEvent('a', { revision: 1.5 })],
    ['an invalid path', /`dates`/, () => DomainEvent('a', { dates: ['lines[0].at'] })],
    ['a path to a prototype', /`dates`/, () => DomainEvent('a', { dates: ['a.__proto__.b'] })],
    [
      'dates by a schema that is missing',
      /needs a `schema`/,
      () => DomainEvent('a', { dates: 'schema' }),
    ],
    ['an invalid schema', /Standard Schema/, () => DomainEvent('a', { schema: {} as z.ZodType })],
    ['aliases that are no list', /`aliases`/, () => DomainEvent('a', { aliases: 5 as never })],
    ['itself as an alias', /former names only/, () => DomainEvent('a', { aliases: ['a'] })],
    [
      'an unknown option',
      /`alias`\. Did you mean `aliases`/,
      () => DomainEvent('a', { alias: ['b'] } as object),
    ],
  ])('reports %s when the class is registered, not before', (_, problem, decorator) => {
    class Faulty {}
    decorator()(Faulty);
    expect(registryOf(Faulty, Faulty).problems).toEqual([expect.stringMatching(problem)]);
    expect(registryOf(Faulty).problems[0]).toContain('@DomainEvent on Faulty');
  });
});

describe('An event registry', () => {
  it('finds the class of a stored name, current or former', () => {
    const registry = registryOf(OfferSent, OfferAccepted);
    expect(registry.resolve('offer.sent')?.eventClass).toBe(OfferSent);
    expect(registry.resolve('offer.posted')?.eventClass).toBe(OfferSent);
  });

  it.each(['constructor', 'toString', '__proto__', 'hasOwnProperty', ''])(
    'does not know the type %j',
    (type) => {
      expect(registryOf(OfferSent).resolve(type)).toBeUndefined();
    },
  );

  it('takes the same class again and again', () => {
    expect(registryOf(OfferSent, OfferSent).problems).toEqual([]);
  });

  it('reports one name on two classes, aliases included', () => {
    @DomainEvent('offer.posted')
    class OfferPosted {}
    @DomainEvent('offer.sent')
    class OtherOfferSent {}

    expect(registryOf(OfferSent, OfferPosted, OtherOfferSent).problems).toEqual([
      expect.stringMatching(/'offer.posted' .* OfferSent and OfferPosted/),
      expect.stringMatching(/'offer.sent' .* OfferSent and OtherOfferSent/),
    ]);
  });

  it('reports classes without a name, and values that are no class', () => {
    const circularImport = undefined as unknown as typeof Undecorated;
    expect(registryOf(Undecorated, OfferSentTwice, circularImport).problems).toEqual([
      expect.stringMatching(/Undecorated .* no @DomainEvent/),
      expect.stringMatching(/OfferSentTwice .* no @DomainEvent of its own/),
      expect.stringMatching(/lists undefined .* circle/),
    ]);
  });

  it('reports upcasters that exclude each other, read nothing, or come too late', () => {
    const registry = registryOf(OfferSent);
    const first = upcaster('offer.sent', 1, (payload) => payload);
    registry.registerUpcaster(first);
    registry.registerUpcaster(first);
    expect(registry.problems).toEqual([]);

    registry.registerUpcaster(upcaster('offer.sent', 1, (payload) => payload));
    registry.registerUpcaster(upcaster('offer.sent', 0, (payload) => payload));
    registry.registerUpcaster(upcaster('offer.sent', 3, (payload) => payload));
    expect(registry.problems).toEqual([
      expect.stringMatching(/Two upcasters .* revision 1/),
      expect.stringMatching(/is no upcaster.* from 1 up/),
      expect.stringMatching(/at revision 3, but its class is at revision 3/),
    ]);
  });

  it('knows an event by its prototype, whatever its data says', () => {
    const event = Object.assign(new OfferSent(1), { constructor: Forgotten });
    expect(registryOf(OfferSent).definitionOf(event).name).toBe('offer.sent');
  });

  it.each<[string, unknown, RegExp]>([
    ['a class that is not registered', new Forgotten(), /Forgotten is not registered.*forFeature/],
    ['a class without a name', new Undecorated(), /Undecorated has no @DomainEvent/],
    ['a subclass', new OfferSentTwice(1), /OfferSentTwice has no @DomainEvent/],
    ['a plain object', {}, /Object has no @DomainEvent/],
    ['an object without a class', Object.create(null), /has no @DomainEvent/],
    ['null', null, /has no @DomainEvent/],
  ])('refuses an event of %s', (_, event, message) => {
    const definition = (): unknown => registryOf(OfferSent).definitionOf(event as object);
    expect(definition).toThrow(UnregisteredEventError);
    expect(definition).toThrow(message);
  });

  it('returns every name that a filter has to look for', () => {
    const registry = registryOf(OfferSent, OfferAccepted);
    const sent = ['offer.sent', 'offer.mailed', 'offer.posted'];
    expect(registry.storedNames([OfferSent])).toEqual(sent);
    expect(registry.storedNames(['offer.sent', OfferSent, 'offer.accepted'])).toEqual([
      ...sent,
      'offer.accepted',
    ]);
    expect(registry.storedNames(['offer.mailed', 'constructor'])).toEqual([
      'offer.mailed',
      'constructor',
    ]);
    expect(() => registry.storedNames([Forgotten])).toThrow(UnregisteredEventError);
  });

  it('suggests the nearest name, or none if none is near', () => {
    const registry = registryOf(OfferSent, OfferAccepted);
    expect(registry.nearest('Offer.send')).toBe('offer.sent');
    expect(registry.nearest('ofer.acepted')).toBe('offer.accepted');
    expect(registry.nearest('invoice.paid')).toBeUndefined();
  });
});
