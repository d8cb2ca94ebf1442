import { Command } from '@nestjs/cqrs';
import type { ApplicationView } from '../application-state.ts';

/** An application and the version at which it looked like this. */
export interface VersionedApplication extends ApplicationView {
  readonly version: number;
}

export interface CommandOptions {
  /** When it happened. @default now */
  readonly at?: Date;
  /** The version the application must be at; without it a conflict is resolved by deciding again. */
  readonly expectedVersion?: number;
}

/** Something that the desk wants to do to one application. */
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
