import { readFile } from 'node:fs/promises';
import { describe, expect, it } from '@jest/globals';

interface LockedPackage {
  readonly hasInstallScript?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const manifest = JSON.parse(await readFile('package.json', 'utf8'));
const { packages }: { packages: Readonly<Record<string, LockedPackage>> } = JSON.parse(
  await readFile('package-lock.json', 'utf8'),
);

/** Users have to trust every package here: to add one is a decision, also in README and SECURITY.md. */
describe('An installation of the library', () => {
  it('runs no script of the library', () => {
    const onInstall = ['preinstall', 'install', 'postinstall', 'prepublish', 'preprepare'];
    const scripts = [...onInstall, 'prepare', 'postprepare', 'dependencies'];
    expect(Object.keys(manifest.scripts).filter((name) => scripts.includes(name))).toEqual([]);
    expect(manifest).not.toHaveProperty('gypfile');
  });

  it('contains the listed files', () => {
    const files = ['dist', 'README.md', 'CHANGELOG.md', 'SECURITY.md', 'LICENSE'];
    expect(manifest.files).toEqual(files);
    expect(manifest).not.toHaveProperty('bundleDependencies');
  });

  it('brings these packages along, and no others', () => {
    const names = installedPaths().map((path) => path.replace(/^.*node_modules\//, ''));
    expect(names.filter((name) => !name.startsWith('@msgpackr-extract/')).sort()).toEqual([
      '@standard-schema/spec',
      'detect-libc',
      'lru-cache',
      'msgpackr',
      'msgpackr-extract',
      'node-gyp-build-optional-packages',
    ]);
  });

  it('runs a script of msgpackr-extract, which is optional, and of no other package', () => {
    const paths = installedPaths().filter((path) => packages[path]!.hasInstallScript);
    expect(paths).toEqual([expect.stringMatching(/\/msgpackr-extract$/)]);
    const takers = installedPaths().filter((path) => 'msgpackr-extract' in required(path));
    expect(takers).toEqual([]);
  });

  it('takes direct dependencies in exact versions', () => {
    for (const version of Object.values(manifest.dependencies)) {
      expect(version).toMatch(/^\d+\.\d+\.\d+$/);
    }
  });
});

const required = (path: string) => packages[path]!.dependencies ?? {};

/** Where the lock file puts the runtime dependencies of the library, and theirs. */
function installedPaths(): string[] {
  const found = new Set<string>();
  const add = (path: string): void => {
    if (found.has(path)) return;
    found.add(path);
    for (const name of Object.keys({
      ...required(path),
      ...packages[path]!.optionalDependencies,
    })) {
      add(placeOf(name, path));
    }
  };
  for (const name of Object.keys(manifest.dependencies)) add(placeOf(name, ''));
  return [...found];
}

/** Looks a package up as Node.js does: beside its user, then one node_modules further out. */
function placeOf(name: string, user: string): string {
  for (
    let place = user;
    ;
    place = place.replace(/(^|\/)node_modules\/(?!.*node_modules\/).*$/, '')
  ) {
    const path = `${place}${place && '/'}node_modules/${name}`;
    if (path in packages) return path;
    if (place === '') throw new Error(`${name}, for ${user || 'the library'}, is not locked.`);
  }
}
