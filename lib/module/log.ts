import { inspect } from 'node:util';
import { Logger } from '@nestjs/common';
import { escapeUnprintable } from '../input/printable-name.ts';
import { errorOf } from '../input/thrown-error.ts';

type Level = 'log' | 'warn' | 'error';

const nestLogger = new Logger('EventStore');

/**
 * Logs, and never throws: a logger may fail on an error that cannot be read, and then it gets text. A
 * failure to log must not end a consumer or fail an append.
 */
function say(level: Level, message: string, ...error: [error?: unknown]): void {
  const parts = [escapeUnprintable(message), ...error.map(printable)];
  for (const asLogged of [parts, [parts.map((part) => textOf(part)).join(' ')]]) {
    try {
      nestLogger[level](...(asLogged as [unknown, ...unknown[]]));
      return;
    } catch {
      continue;
    }
  }
}

/**
 * Returns an error as it is, or its text with escapes if the error would write more than plain lines
 * into the log: what a handler throws may quote foreign input.
 */
function printable(error: unknown): unknown {
  try {
    const text = inspect(error);
    const escaped = text.split('\n').map(escapeUnprintable).join('\n');
    return escaped === text ? error : escaped;
  } catch {
    return error;
  }
}

const textOf = (part: unknown): string => (typeof part === 'string' ? part : String(errorOf(part)));

/** The library's only logger, for failures without a caller that could receive them. */
export const logger = {
  log: (message: string): void => say('log', message),
  warn: (message: string, ...error: [error?: unknown]): void => say('warn', message, ...error),
  error: (message: string, ...error: [error?: unknown]): void => say('error', message, ...error),
};

/** Logs a failure that must not fail a call. */
export function warn(message: string, error?: unknown): void {
  logger.warn(error === undefined ? message : `${message} ${textOf(error)}`);
}
