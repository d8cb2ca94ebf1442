import { createParamDecorator, type ExecutionContext } from '@nestjs/common';

/** Passes a request header to a handler; with a schema, the header is validated. */
export const RequestHeader = createParamDecorator((name: string, context: ExecutionContext) => {
  const { headers } = context.switchToHttp().getRequest<{ headers: Record<string, unknown> }>();
  return headers[name.toLowerCase()];
});
