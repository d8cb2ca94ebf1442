import type { UnhandledExceptionBus } from '@nestjs/cqrs';
import type { OperatorLog } from '../store/operator-log.ts';

/** Reports what a handler threw at an event, or at a command. */
export type ReportException = (cause: object, exception: unknown) => void;

/**
 * Reports exceptions on the `UnhandledExceptionBus`, as `@nestjs/cqrs` does for the handlers on its bus.
 *
 * Never throws: whatever the publisher of that bus does, the consumer deals with the failure.
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

/** Does the same work, and reports what it throws before it throws it. */
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
