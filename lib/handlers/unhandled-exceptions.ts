import type { UnhandledExceptionBus } from '@nestjs/cqrs';
import type { OperatorLog } from '../store/operator-log.ts';

/** Reports an exception that a handler threw for an event or a command. */
export type ReportException = (cause: object, exception: unknown) => void;

/**
 * Reports exceptions on the `UnhandledExceptionBus`, as `@nestjs/cqrs` does for the handlers on its bus.
 *
 * Never throws: the consumer handles the failure itself, even if the publisher of that bus fails.
 */
export const reportOn =
  (bus: UnhandledExceptionBus | undefined, log: OperatorLog): ReportException =>
  (cause, exception) => {
    const failed = (error: unknown): void =>
      log.warn('An exception could not be published on the UnhandledExceptionBus.', error);
    try {
      const published: unknown = bus?.publish({ cause, exception } as never);
      if (published instanceof Promise) published.catch(failed);
    } catch (error) {
      failed(error);
    }
  };

/** Wraps a function so that it reports every exception before it throws it again. */
export const reporting =
  <T extends object, R>(work: (cause: T) => Promise<R>, report: ReportException) =>
  async (cause: T): Promise<R> => {
    try {
      return await work(cause);
    } catch (exception) {
      report(cause, exception);
      throw exception;
    }
  };
