import type { GenerationScope } from '../../subscriptions/consumer.ts';
import { HandlerFailure } from '../../subscriptions/handler-failure.ts';

/** Calls a hook of the projection, whose errors are its own. */
export async function callHook(
  hook: ((scope: GenerationScope) => Promise<void> | void) | undefined,
  scope: GenerationScope,
): Promise<void> {
  try {
    await hook?.(scope);
  } catch (error) {
    throw new HandlerFailure(error);
  }
}
