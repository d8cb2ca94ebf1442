// Writes the bill of materials that is published with the library: dist/sbom.cdx.json.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const manifest = JSON.parse(readFileSync('package.json', 'utf8'));
const options = ['--sbom-format', 'cyclonedx', '--sbom-type', 'library', '--package-lock-only'];
const everything = JSON.parse(
  execFileSync(process.execPath, [process.env.npm_execpath, 'sbom', ...options], {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    stdio: ['ignore', 'pipe', 'inherit'],
  }),
);

// npm's own --omit dev also leaves out what a development dependency shares with the library.
const dependenciesOf = new Map(
  everything.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]),
);
const reached = new Set();
function reach(ref) {
  if (reached.has(ref)) return;
  reached.add(ref);
  dependenciesOf.get(ref).forEach(reach);
}
const direct = Object.entries(manifest.dependencies).map(([name, version]) => `${name}@${version}`);
direct.forEach(reach);

const { component, lifecycles } = everything.metadata;
const root = component['bom-ref'];
// Without a serial number, a time and the version of npm: the same lock file gives the same bytes.
const bill = {
  $schema: everything.$schema,
  bomFormat: everything.bomFormat,
  specVersion: everything.specVersion,
  version: everything.version,
  metadata: { lifecycles, component: { ...component, name: manifest.name } },
  components: everything.components.filter((each) => reached.has(each['bom-ref'])),
  dependencies: [
    { ref: root, dependsOn: direct },
    ...everything.dependencies.filter(({ ref }) => reached.has(ref)),
  ],
};
writeFileSync('dist/sbom.cdx.json', `${JSON.stringify(bill, null, 2)}\n`);
