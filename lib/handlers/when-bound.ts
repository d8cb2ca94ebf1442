import type { CommandBus } from '@nestjs/cqrs';

/**
 * Resolves once `@nestjs/cqrs` has bound the handlers of commands and queries.
 *
 * `@nestjs/cqrs` binds them at bootstrap, module after module; consumers may have started long before.
 */
export function whenBound(commandBus: CommandBus): Promise<void> {
  return new Promise((resolve) => {
    const register = commandBus.register.bind(commandBus);
    commandBus.register = (handlers) => {
      register(handlers);
      resolve();
    };
  });
}
