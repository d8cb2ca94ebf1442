import type { CommandBus } from '@nestjs/cqrs';
import { runWithMetadata } from 'nest-event-store';
import type { ApplicationCommand } from '../applications/commands/application.command.ts';

export interface Step {
  readonly command: ApplicationCommand;
  /** The actor, which is stored with the event. */
  readonly actor: string | undefined;
}

/** What happens to one application, step by step. */
export type Script = Iterable<Step>;

export interface PlayOptions {
  /** How many applications are worked on at the same time. */
  readonly inFlight: number;
  /** Called after every step. */
  readonly onStep: () => void;
  /** Once aborted, no further step begins, and `play` throws the signal's reason. */
  readonly interruption: AbortSignal;
}

/**
 * Plays scripts through the command bus: many applications at once, each step after the previous one.
 *
 * The first command that fails ends the playback: no further script begins, and the error is thrown
 * once the running scripts are over.
 */
export async function play(
  commands: CommandBus,
  scripts: readonly Script[],
  { inFlight, onStep, interruption }: PlayOptions,
): Promise<void> {
  const waiting = [...scripts].reverse();

  const playOneAfterTheOther = async (): Promise<void> => {
    for (let script = waiting.pop(); script; script = waiting.pop()) {
      for (const { command, actor } of script) {
        interruption.throwIfAborted();
        await runWithMetadata(actor ? { actor } : {}, () => commands.execute(command));
        onStep();
      }
    }
  };

  const players = Array.from({ length: inFlight }, () =>
    playOneAfterTheOther().catch((error: unknown) => {
      waiting.length = 0;
      throw error;
    }),
  );
  const failed = (await Promise.allSettled(players)).find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}
