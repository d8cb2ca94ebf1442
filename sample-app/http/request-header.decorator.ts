import { createParamDecorator, type ExecutionContext } from '@nestjs/common';

/** Hands a request header to a handler; give it a schema to have it validated. */
export const RequestHeader = createParamDecorator((name: string, context: ExecutionContext) => {
  const { headers } = context.switchToHttp().getRequest<{ headers: Record<string, unknown> }>();
  return headers[name.toLowerCase()];
});
