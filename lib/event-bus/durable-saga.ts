import type { CommandBus, ICommand } from '@nestjs/cqrs';
import { isObservable, lastValueFrom, of, toArray, type Observable } from 'rxjs';
import { InvalidSagaError } from './event-bus.errors.ts';

/** One `@Saga` member of a provider. */
export interface SagaMember {
  readonly consumer: string;
  readonly instance: object;
  readonly key: string | symbol;
}

type Saga = (events: Observable<object>) => Observable<ICommand | undefined>;

/**
 * Runs a saga on an observable of one event and executes the commands it emits, in order, each
 * awaited before the next. None is executed before the observable has completed.
 */
export const durableSaga =
  ({ consumer, instance, key }: SagaMember, commandBus: CommandBus) =>
  async (event: object): Promise<void> => {
    const emitted = (instance as Record<string | symbol, Saga>)[key]!(of(event));
    if (!isObservable(emitted)) {
      throw new InvalidSagaError(consumer, `${instance.constructor.name}.${String(key)}`);
    }
    for (const command of await lastValueFrom(emitted.pipe(toArray()))) {
      // The bus of @nestjs/cqrs leaves empty values out as well.
      if (command) await commandBus.execute(command);
    }
  };
