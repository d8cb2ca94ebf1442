import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { logger, warn } from '../../../lib/module/log.ts';
import { EventStoreConfigurationError, UnknownEventTypeError } from 'nest-event-store';

const forged = 'a\u001b[2J\n[Nest] 1 LOG all is well\u202e\u2028\0';
const escaped = 'a\\u{1b}[2J\\n[Nest] 1 LOG all is well\\u{202e}\\u{2028}\\u{0}';
const lines: unknown[][] = [];

beforeEach(() => {
  lines.length = 0;
  for (const level of ['log', 'warn', 'error'] as const) {
    jest.spyOn(Logger.prototype, level).mockImplementation((...parts: unknown[]) => {
      lines.push(parts);
    });
  }
});
afterEach(() => void jest.restoreAllMocks());

describe('A line of the log', () => {
  it('escapes characters that would write more than their text', () => {
    logger.log(forged);
    logger.warn(forged);
    logger.error(forged);
    warn('The type is', new TypeError(forged));
    expect(lines).toEqual([[escaped], [escaped], [escaped], [`The type is TypeError: ${escaped}`]]);
  });

  it('contains an error unchanged, or as text with escapes', () => {
    const good = new Error('two\nlines', { cause: new Error('café 👩‍💻') });
    logger.error('It failed.', good);
    expect(lines[0]).toEqual(['It failed.', good]);
    for (const bad of [new Error('a\u001b[2J'), new Error('b', { cause: new Error('\u202e') })]) {
      logger.error('It failed.', bad);
      const [, shown] = lines.at(-1)!;
      expect(shown).toEqual(expect.stringMatching(/^Error: [ab]/));
      expect(shown).not.toMatch(/\p{Cf}|[^\P{Cc}\n]/u);
    }
  });
});

describe('The message of an error', () => {
  it('is one line, whatever names it quotes', () => {
    const error = new UnknownEventTypeError(forged, 1, { type: 'a', id: 'b' }, undefined);
    expect(error.message).toContain(escaped);
    expect(error.message).not.toMatch(/\p{Cc}|\p{Cf}/u);
    expect(error.type).toBe(forged);
  });

  it('has a line for each problem of a configuration, and no other', () => {
    const { message } = new EventStoreConfigurationError(forged, [forged, 'b']);
    expect(message.split('\n')).toEqual([
      `The event store '${escaped}' cannot start:`,
      `- ${escaped}`,
      '- b',
    ]);
  });
});
