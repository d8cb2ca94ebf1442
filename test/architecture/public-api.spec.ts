import { readFile } from 'node:fs/promises';
import { describe, expect, it } from '@jest/globals';
import * as library from 'nest-event-store';
import * as testing from 'nest-event-store/testing';

const entryPoints = [
  ['nest-event-store', 'lib/index.ts', library],
  ['nest-event-store/testing', 'lib/testing/index.ts', testing],
] as const;

describe.each(entryPoints)('The public API of %s', (_name, path, module) => {
  it('consists of explicit, named exports', async () => {
    expect(await readFile(path, 'utf8')).not.toMatch(/export (\*|default|const|function|class)/);
    expect(module).not.toHaveProperty('default');
  });

  // A name that is new, gone or renamed is a decision: npm test -- public-api -u, and the changelog.
  it('has the names that it had before', async () => {
    expect(exportedNames(await readFile(path, 'utf8'))).toMatchSnapshot();
  });
});

function exportedNames(source: string): string[] {
  return [...source.matchAll(/export (type )?\{([^}]*)\}/g)]
    .flatMap(([, onlyTypes, names = '']) =>
      names
        .split(',')
        .map((name) => name.trim())
        .filter((name) => name !== '')
        .map((name) => (onlyTypes ? `type ${name}` : name)),
    )
    .sort((a, b) => a.replace('type ', '').localeCompare(b.replace('type ', '')));
}
