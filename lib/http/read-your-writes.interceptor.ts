import { inspect } from 'node:util';
import {
  BadRequestException,
  HttpException,
  Inject,
  Injectable,
  mixin,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
  type OnModuleDestroy,
  type Type,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { mergeMap, type Observable } from 'rxjs';
import { KnownOptions } from '../input/known-options.ts';
import { HeldRequests } from './held-requests.ts';
import { warn } from '../module/log.ts';
import { preferredWaitSeconds } from './prefer-wait.ts';
import { getConsumersToken, getEventStoreToken, type StoreSelection } from '../module/tokens.ts';
import { trackAppends } from '../store/appending/track-appends.ts';
import { EventStore } from '../store/event-store.ts';
import { Consumers } from '../subscriptions/control/consumers.ts';
import { WaitTimeoutError } from '../subscriptions/subscriptions.errors.ts';

const defaultWaitSeconds = 5;
const maxWaitSeconds = 30;

const readYourWritesOptions = new KnownOptions<StoreSelection>('ReadYourWrites', { store: true });

/**
 * Makes an interceptor that lets clients read their own writes, for controllers and routes whose
 * answers come from these consumers.
 *
 * A response to a request that appended events has the header `Event-Position`. A request with that
 * header is handled only after the consumers have reached the position. The response is 503 if that
 * takes longer than the seconds of `Prefer: wait=10` (5 by default, 30 at most), if 1,000 requests
 * already wait, or if the application shuts down meanwhile. It is 400 if the header is no position or
 * one that the log has never given out.
 *
 * A request that appends and has `Prefer: wait` or `Prefer: wait=10` is answered only after the
 * consumers have reached its events, and the response has `Preference-Applied: wait=10`. If they do not
 * reach them in time, the response lacks that header: the write has succeeded all the same, and the
 * client can read later with `Event-Position`. A response that the handler has sent itself is left as
 * it is.
 *
 * A browser shows these headers to a script of another origin only if CORS exposes them.
 *
 * The consumers are those of the default store, or of `store`.
 *
 * @throws TypeError if `consumers` is not a list of names.
 *
 * @example
 * @UseInterceptors(ReadYourWrites(['pipeline', 'letters']))
 * @Controller('reports')
 * export class ReportsController { … }
 */
export function ReadYourWrites(
  consumers: readonly string[],
  options: StoreSelection = {},
): Type<NestInterceptor> {
  const { store: storeName } = readYourWritesOptions.take(options);
  const names = namesIn(consumers);

  @Injectable()
  class ReadYourWritesInterceptor implements NestInterceptor, OnModuleDestroy {
    readonly #requests: HeldRequests;

    constructor(
      @Inject(getEventStoreToken(storeName)) store: EventStore,
      @Inject(getConsumersToken(storeName)) control: Consumers,
      private readonly adapterHost: HttpAdapterHost,
    ) {
      this.#requests = HeldRequests.of(store, control);
    }

    onModuleDestroy(): void {
      this.#requests.end();
    }

    async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
      if (context.getType() !== 'http') return next.handle();
      const request = context.switchToHttp().getRequest<RequestLike>();
      const wait = preferredWaitSeconds(request.headers['prefer']);
      const seconds = Math.min(wait ?? defaultWaitSeconds, maxWaitSeconds);
      const sent = positionIn(request.headers['event-position']);
      if (sent > 0) await this.#requests.waitBefore(names, sent, seconds);
      return trackAppends((lastAppended) =>
        next.handle().pipe(
          mergeMap(async (answer: unknown) => {
            const position = lastAppended();
            if (position === undefined) return answer;
            const setHeader = this.#headerSetter(context.switchToHttp().getResponse());
            setHeader('Event-Position', String(position));
            if (wait !== undefined && (await this.#hasReached(position, seconds))) {
              setHeader('Preference-Applied', `wait=${seconds}`);
            }
            return answer;
          }),
        ),
      );
    }

    /** Never throws: the write has succeeded, even if the wait fails. */
    async #hasReached(position: number, seconds: number): Promise<boolean> {
      try {
        await this.#requests.wait(names, position, seconds * 1_000);
        return true;
      } catch (error) {
        const isLate = error instanceof WaitTimeoutError || error instanceof HttpException;
        if (!isLate) warn('Waiting for consumers after a write failed.', error);
        return false;
      }
    }

    #headerSetter(response: unknown): (name: string, value: string) => void {
      const { httpAdapter } = this.adapterHost;
      return (name, value) => {
        if (httpAdapter.isHeadersSent(response)) return;
        httpAdapter.setHeader(response, name, value);
      };
    }
  }
  return mixin(ReadYourWritesInterceptor);
}

/** The common part of Express and Fastify requests: names in lower case, repeated headers joined. */
interface RequestLike {
  readonly headers: Readonly<Record<string, string | undefined>>;
}

function namesIn(consumers: readonly string[]): readonly string[] {
  const isList = Array.isArray(consumers) && consumers.every((name) => typeof name === 'string');
  if (isList) return [...consumers];
  throw new TypeError(
    "ReadYourWrites takes a list of names of consumers, such as ['balances'], got " +
      `${inspect(consumers, { depth: 1, maxStringLength: 50 })}.`,
  );
}

function positionIn(header: string | undefined): number {
  const position = Number(header ?? 0);
  if (Number.isSafeInteger(position) && /^\d+$/.test(header ?? '0')) return position;
  throw new BadRequestException(
    'The header Event-Position must be a position as an earlier response gave it: one whole number.',
  );
}
