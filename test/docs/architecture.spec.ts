import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const root = join(import.meta.dirname, '../..');
const page = readFileSync(join(root, 'docs/architecture.md'), 'utf8');
const files = readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' });

describe('the page about the architecture', () => {
  it('names existing files only, each by a unique name', () => {
    const named = new Set(page.match(/[a-z][a-z.-]*\.ts\b/g));
    expect(named.size).toBeGreaterThan(30);
    for (const name of named) {
      const found = files.filter((file) => basename(file) === name);
      expect({ name, found: found.length }).toEqual({ name, found: 1 });
    }
  });

  it('draws every room of lib', () => {
    const drawing = page.slice(page.indexOf('```'), page.indexOf('An arrow points'));
    const rooms = readdirSync(join(root, 'lib'), { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && entry.name !== 'testing')
      .map((entry) => entry.name);
    for (const room of rooms) expect(drawing).toContain(room);
  });
});
