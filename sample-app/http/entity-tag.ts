import {
  type CallHandler,
  type ExecutionContext,
  Injectable,
  type NestInterceptor,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { type Observable, tap } from 'rxjs';
import { z } from 'zod';

/** The entity tag of an application is its version. */
export function entityTag(version: number): string {
  return `"${version}"`;
}

/** Parses `If-Match: "12"` as the version 12. Without the header, or with `*`, any version matches. */
export const ifMatch = z
  .string()
  .regex(/^(?:"\d{1,15}"|\*)$/, 'If-Match must be the ETag of an earlier response, such as "12"')
  .transform((tag) => (tag === '*' ? undefined : Number(tag.slice(1, -1))))
  .optional();

/** Sets the ETag of every response that shows something with a version. */
@Injectable()
export class EntityTagInterceptor implements NestInterceptor {
  constructor(private readonly host: HttpAdapterHost) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(
      tap((body: unknown) => {
        if (!hasVersion(body)) return;
        const response = context.switchToHttp().getResponse<unknown>();
        this.host.httpAdapter.setHeader(response, 'ETag', entityTag(body.version));
      }),
    );
  }
}

function hasVersion(body: unknown): body is { version: number } {
  return (
    typeof body === 'object' &&
    body !== null &&
    'version' in body &&
    typeof body.version === 'number'
  );
}
