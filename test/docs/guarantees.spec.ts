import { readFile } from 'node:fs/promises';
import { describe, expect, it } from '@jest/globals';
import { readReadme } from './readme.ts';
import { titlesOf } from './test-titles.ts';

const page = await readFile('docs/guarantees.md', 'utf8');
const rows = [...page.matchAll(/^\| (.+?) +\| (.+?) +\| `(.+?)` +\|$/gm)];

describe('docs/guarantees.md', () => {
  it.each(rows.map(([, promise, title, file]) => [promise, title, file] as const))(
    'names an existing test for "%s"',
    async (_, title, file) => {
      expect([...(await titlesOf(file!))]).toContain(title);
    },
  );

  it('has a section for each guarantee of README.md, and tests in each', async () => {
    const sections = new Map(
      page.split(/^## /m).map((section) => [section.split('\n', 1)[0], section]),
    );
    for (const { Guarantee } of (await readReadme()).rows('Guarantee')) {
      expect(sections.get(Guarantee)).toMatch(/^\| Promise .+\n.+\n\| .+ \| `.+\.ts` +\|$/m);
    }
  });
});
