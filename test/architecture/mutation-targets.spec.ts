import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { targets } from '../mutation/targets.ts';

const root = join(import.meta.dirname, '../..');

describe('the targets of the mutation tests', () => {
  it('are existing files', () => {
    const files = Object.values(targets).flatMap((target) => target.files);
    expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([]);
  });
});
