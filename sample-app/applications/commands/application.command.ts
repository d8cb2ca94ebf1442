import { Command } from '@nestjs/cqrs';
import type { ApplicationView } from '../application-state.ts';

/** An application together with its version. */
export interface VersionedApplication extends ApplicationView {
  readonly version: number;
}

export interface CommandOptions {
  /** When it happened. @default now */
  readonly at?: Date;
  /** The version that the application must have; without it, a conflict repeats the decision. */
  readonly expectedVersion?: number;
}

/** A command of the desk for one application. */
export abstract class ApplicationCommand extends Command<VersionedApplication> {
  readonly at: Date;
  readonly expectedVersion: number | undefined;

  constructor(
    readonly applicationId: string,
    options: CommandOptions = {},
  ) {
    super();
    this.at = options.at ?? new Date();
    this.expectedVersion = options.expectedVersion;
  }
}
