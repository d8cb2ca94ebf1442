import type { CommandBus, ICommand } from '@nestjs/cqrs';
import { isObservable, lastValueFrom, of, toArray, type Observable } from 'rxjs';
import { InvalidSagaError } from './handlers.errors.ts';
import { reporting, type ReportException } from './unhandled-exceptions.ts';

/** One `@Saga` member of a provider. */
export interface SagaMember {
  readonly consumer: string;
  readonly instance: object;
  readonly key: string | symbol;
}

type Saga = (events: Observable<object>) => Observable<ICommand | undefined>;

/**
 * Runs a saga on an observable of one event and executes the commands that it emits, in order, each
 * awaited before the next. The first command is executed only after the observable has completed.
 *
 * A failure is reported with the command that failed as its cause, or with the event if the saga itself
 * failed.
 */
export function durableSaga(
  { consumer, instance, key }: SagaMember,
  commandBus: CommandBus,
  report: ReportException,
): (event: object) => Promise<void> {
  const commandsFor = async (event: object): Promise<(ICommand | undefined)[]> => {
    const emitted = (instance as Record<string | symbol, Saga>)[key]!(of(event));
    if (!isObservable(emitted)) {
      throw new InvalidSagaError(consumer, `${instance.constructor.name}.${String(key)}`);
    }
    return lastValueFrom(emitted.pipe(toArray()));
  };
  const execute = (command: ICommand): Promise<unknown> => commandBus.execute(command);

  return async (event) => {
    for (const command of await reporting(commandsFor, report)(event)) {
      // The bus of @nestjs/cqrs leaves empty values out as well.
      if (command) await reporting(execute, report)(command);
    }
  };
}
