import { applyDecorators, HttpCode, HttpStatus } from '@nestjs/common';
import {
  ApiBadRequestResponse,
  ApiConflictResponse,
  ApiHeader,
  ApiNotFoundResponse,
  ApiOperation,
  ApiResponse,
  ApiUnprocessableEntityResponse,
} from '@nestjs/swagger';
import { versionedApplication } from './applications.schemas.ts';

/** Describes a handler that returns an application and its ETag. */
export function ShowsApplication(
  summary: string,
  status: HttpStatus = HttpStatus.OK,
): MethodDecorator {
  return applyDecorators(
    HttpCode(status),
    ApiOperation({ summary }),
    ApiBadRequestResponse({ description: 'Something in the request is not what it should be' }),
    ApiResponse({
      status,
      description: 'The application',
      standardSchema: versionedApplication,
      headers: { ETag: { description: 'Its version, in quotes', schema: { type: 'string' } } },
    }),
  );
}

/** Describes a handler that changes an application and returns it. */
export function ChangesApplication(summary: string): MethodDecorator {
  return applyDecorators(
    ShowsApplication(summary),
    ApiHeader({
      name: 'If-Match',
      required: false,
      description: 'The ETag of an earlier response: refuses if the application has changed since',
    }),
    ApiNotFoundResponse({ description: 'There is no such application' }),
    ApiConflictResponse({ description: 'The application is at another version than If-Match' }),
    ApiUnprocessableEntityResponse({ description: 'The rules of the loan desk forbid it' }),
  );
}
