import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const papers = ['CHANGELOG.md', 'LICENSE', 'README.md', 'SECURITY.md'];

/** Asserts that a release holds the build of lib/, its bill of materials, its documents, and no more. */
export function checkContents(root, packed) {
  const sources = readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' });
  const modules = sources
    .filter((path) => path.endsWith('.ts'))
    .map((path) => `dist/${path.replaceAll('\\', '/').slice(0, -'.ts'.length)}`);
  const compiled = modules.flatMap((path) => [`${path}.d.ts`, `${path}.js`]);
  const wanted = [...papers, 'package.json', 'dist/sbom.cdx.json', ...compiled];
  assert.deepEqual(packed.toSorted(), wanted.toSorted());
}

/** Asserts that the bill of materials names every package that an installation brings along. */
export function checkBillOfMaterials(root) {
  const read = (path) => JSON.parse(readFileSync(join(root, path), 'utf8'));
  const { components, dependencies, metadata } = read('dist/sbom.cdx.json');
  const manifest = read('package.json');
  const direct = Object.entries(manifest.dependencies).map(
    ([name, version]) => `${name}@${version}`,
  );
  const refs = components.map((component) => component['bom-ref']);
  assert.equal(metadata.component.purl, `pkg:npm/${manifest.name}@${manifest.version}`);
  assert.deepEqual(dependencies[0].dependsOn, direct);
  for (const { dependsOn } of dependencies) {
    for (const ref of dependsOn) assert.ok(refs.includes(ref), `${ref} is not in the bill`);
  }
}
