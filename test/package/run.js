// Packs the library, checks the package, and uses it from applications that installed it.
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { startEmbeddedPostgres } from '../../.build/dev/postgres/embedded-postgres.js';
import { checkBillOfMaterials, checkContents } from './contents.js';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..');
const {
  name,
  version,
  peerDependencies: peers,
  devDependencies: ours,
} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

const installations = {
  'the peers that the tests run on': Object.fromEntries(
    Object.keys(peers).map((peer) => [peer, ours[peer]]),
  ),
  // The lower ends of the peer ranges.
  'the oldest peers': {
    '@nestjs/common': '11.0.0',
    '@nestjs/core': '11.0.0',
    '@nestjs/cqrs': '11.0.0',
    '@nestjs/typeorm': '11.0.0',
    pg: '8.11.0',
    'reflect-metadata': '0.2.0',
    rxjs: '7.8.0',
    typeorm: '0.3.20',
  },
};

function run(directory, program, options, env = {}) {
  execFileSync(process.execPath, [program, ...options], {
    cwd: directory,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
}

const npm = (directory, ...options) => run(directory, process.env.npm_execpath, options);
const tool = (path, ...options) => run(root, join(root, 'node_modules', path), options);

/** Packs the library into a directory and returns the paths inside the tarball. */
function pack(directory) {
  const options = ['pack', '--ignore-scripts', '--json', '--pack-destination', directory];
  const [{ files }] = JSON.parse(
    execFileSync(process.execPath, [process.env.npm_execpath, ...options], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  );
  return files.map(({ path }) => path);
}

async function createDatabase(server, name) {
  const client = new Client({ connectionString: server });
  await client.connect();
  await client.query(`CREATE DATABASE ${name}`);
  await client.end();
  return Object.assign(new URL(server), { pathname: `/${name}` }).href;
}

const workshop = mkdtempSync(join(realpathSync(tmpdir()), 'nest-event-store-package-'));
const server = await startEmbeddedPostgres({ durable: false });
try {
  checkContents(root, pack(workshop));
  checkBillOfMaterials(root);
  const tarball = join(workshop, `${name}-${version}.tgz`);
  tool('publint/src/cli.js', 'run', tarball, '--strict');
  tool('@arethetypeswrong/cli/dist/index.js', tarball, '--profile', 'esm-only');

  for (const [index, [title, dependencies]] of Object.entries(installations).entries()) {
    const directory = join(workshop, `application-${index}`);
    mkdirSync(directory);
    cpSync(here, directory, { recursive: true, filter: (path) => !path.endsWith('.js') });
    writeFileSync(
      join(directory, 'package.json'),
      JSON.stringify({
        private: true,
        dependencies: { ...dependencies, [name]: tarball },
      }),
    );
    npm(
      directory,
      'install',
      '--strict-peer-deps',
      '--prefer-offline',
      '--no-audit',
      '--no-fund',
      '--silent',
    );
    for (const application of ['esm.mjs', 'commonjs.cjs']) {
      const url = await createDatabase(server.url, `package_${index}_${application.split('.')[0]}`);
      run(directory, application, [], { DATABASE_URL: url });
      console.log(`${application} on ${title}: appended, read and consumed`);
    }
  }
} finally {
  await server.stop();
  rmSync(workshop, { recursive: true, force: true });
}
