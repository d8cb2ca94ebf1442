import {
  type ArgumentsHost,
  Catch,
  type ExceptionFilter,
  HttpStatus,
  Logger,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { EventStoreError, WrongExpectedVersionError } from 'nest-event-store';
import { OfferNumberTakenError } from '../applications/offer-number-taken.error.ts';
import { RuleViolationError } from '../applications/rule-violation.error.ts';
import { entityTag } from './entity-tag.ts';

const statusByCode: Record<string, HttpStatus> = {
  AGGREGATE_NOT_FOUND: HttpStatus.NOT_FOUND,
  WRONG_EXPECTED_VERSION: HttpStatus.CONFLICT,
  DUPLICATE_EVENT: HttpStatus.CONFLICT,
  OFFER_NUMBER_TAKEN: HttpStatus.CONFLICT,
  RULE_VIOLATION: HttpStatus.UNPROCESSABLE_ENTITY,
  INVALID_AGGREGATE_REF: HttpStatus.BAD_REQUEST,
  INVALID_EVENT: HttpStatus.BAD_REQUEST,
  STORE_OVERLOADED: HttpStatus.SERVICE_UNAVAILABLE,
  AGGREGATE_LOCKED: HttpStatus.SERVICE_UNAVAILABLE,
};

type AnsweredError = EventStoreError | RuleViolationError | OfferNumberTakenError;

/**
 * Maps errors of the store and of the rules to responses, and logs those that the caller did not cause.
 */
@Catch(EventStoreError, RuleViolationError, OfferNumberTakenError)
export class EventStoreErrorFilter implements ExceptionFilter<AnsweredError> {
  private readonly logger = new Logger(EventStoreErrorFilter.name);

  constructor(private readonly host: HttpAdapterHost) {}

  catch(error: AnsweredError, context: ArgumentsHost): void {
    const { httpAdapter } = this.host;
    const response = context.switchToHttp().getResponse<unknown>();
    const statusCode = statusByCode[error.code] ?? HttpStatus.INTERNAL_SERVER_ERROR;
    if (statusCode === HttpStatus.INTERNAL_SERVER_ERROR) this.logger.error(error);

    if (error instanceof WrongExpectedVersionError) {
      const currentVersion = error.actualVersion;
      httpAdapter.setHeader(response, 'ETag', entityTag(currentVersion));
      const body = { statusCode, error: error.code, message: error.message, currentVersion };
      return httpAdapter.reply(response, body, statusCode);
    }
    httpAdapter.reply(
      response,
      { statusCode, error: error.code, message: error.message },
      statusCode,
    );
  }
}
