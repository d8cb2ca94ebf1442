import type { CommandBus } from '@nestjs/cqrs';

/**
 * Resolves once `@nestjs/cqrs` has bound the handlers of commands and queries.
 *
 * It does so at bootstrap, module after module: consumers may have been started long before.
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
