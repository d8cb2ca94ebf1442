/**
 * What each folder of lib/ may import besides its own files and the base error: other folders, files
 * of the wiring, packages, and packages of which it may know the types only. All else is refused.
 */
const layers = {
  events: { packages: ['msgpackr'], types: ['@standard-schema/spec'] },
  store: { folders: ['events'], types: ['typeorm'] },
  aggregates: { folders: ['events', 'store'], packages: ['@nestjs/cqrs', 'lru-cache'] },
  subscriptions: { folders: ['events', 'store'], types: ['typeorm'] },
  projections: { folders: ['events', 'store', 'subscriptions'], types: ['typeorm'] },
  evidence: { folders: ['events', 'store'] },
  'event-bus': {
    folders: ['events', 'store', 'subscriptions'],
    packages: ['@nestjs/cqrs', '@nestjs/common', '@nestjs/core', 'rxjs'],
  },
  postgres: {
    folders: ['events', 'store', 'aggregates', 'subscriptions', 'projections', 'evidence'],
    packages: ['typeorm', 'pg'],
  },
  testing: {
    folders: ['events', 'store', 'aggregates', 'subscriptions', 'projections'],
    packages: ['@nestjs/common'],
    types: ['typeorm'],
    // The testing module is the real one with another store.
    wiring: true,
  },
};

const baseError = '^lib/event-store[.]error[.]ts$';
const escapedText = '^lib/events/printable-name[.]ts$';
const wiringFiles = '^lib/event-store[.][^/]+[.]ts$';
const entryPoints = '^lib/(index|testing/index)[.]ts$';
const anyPackage = ['npm', 'npm-dev', 'npm-peer', 'npm-optional', 'npm-no-pkg', 'npm-unknown'];

const packagePaths = (names) => names.map((name) => `^node_modules/(@types/)?${name}/`);

const layerRules = Object.entries(layers).flatMap(
  ([folder, { folders = [], packages = [], types = [], wiring = false }]) => [
    {
      name: `${folder}-imports-only-its-layer`,
      severity: 'error',
      from: { path: `^lib/${folder}/` },
      to: {
        path: '^lib/',
        pathNot: [`^lib/(${[folder, ...folders].join('|')})/`, wiring ? wiringFiles : baseError],
      },
    },
    {
      name: `${folder}-imports-only-its-packages`,
      severity: 'error',
      from: { path: `^lib/${folder}/` },
      to: { dependencyTypes: anyPackage, pathNot: packagePaths([...packages, ...types]) },
    },
    {
      name: `${folder}-knows-only-types-of-a-package`,
      severity: 'error',
      from: { path: `^lib/${folder}/` },
      to: { path: packagePaths(types), dependencyTypesNot: ['type-only'] },
    },
  ],
);

export default {
  forbidden: [
    ...layerRules.filter(({ to }) => to.path === undefined || to.path.length > 0),
    {
      name: 'the-base-error-imports-only-how-text-is-escaped',
      severity: 'error',
      from: { path: baseError },
      to: { path: '.', pathNot: escapedText },
    },
    {
      name: 'escaped-text-imports-nothing',
      severity: 'error',
      from: { path: escapedText },
      to: { path: '.' },
    },
    {
      name: 'wiring-imports-only-nest-typeorm-and-rxjs',
      severity: 'error',
      from: { path: '^lib/[^/]+[.]ts$' },
      to: {
        dependencyTypes: anyPackage,
        pathNot: packagePaths(['@nestjs/[^/]+', 'typeorm', 'rxjs']),
      },
    },
    {
      name: 'the-core-does-no-input-or-output',
      severity: 'error',
      from: { path: '^lib/(events|store|aggregates|subscriptions|projections)/' },
      to: {
        dependencyTypes: ['core'],
        path: '^(node:)?(fs|net|tls|http|https|http2|dns|dgram|child_process|cluster)($|/)',
      },
    },
    {
      name: 'nobody-in-lib-imports-an-entry-point-or-testing',
      severity: 'error',
      from: { path: '^lib/', pathNot: '^lib/testing/' },
      to: { path: [entryPoints, '^lib/testing/'] },
    },
    {
      name: 'lib-stands-alone',
      severity: 'error',
      from: { path: '^lib/' },
      to: { path: '^(sample-app|test|bench|docs)/' },
    },
    {
      name: 'lib-imports-only-what-its-users-get',
      severity: 'error',
      from: { path: '^lib/' },
      to: { dependencyTypes: anyPackage, dependencyTypesNot: ['npm', 'npm-peer'] },
    },
    {
      name: 'lib-has-no-file-that-no-entry-point-reaches',
      severity: 'error',
      from: { path: entryPoints },
      to: { path: '^lib/', pathNot: entryPoints, reachable: false },
    },
    {
      name: 'the-sample-imports-only-the-entry-points',
      severity: 'error',
      from: { path: '^sample-app/' },
      to: { path: '^(lib|dist)/', pathNot: entryPoints },
    },
    {
      name: 'the-sample-imports-by-the-name-of-the-package',
      severity: 'error',
      from: { path: '^sample-app/' },
      to: { path: entryPoints, dependencyTypesNot: ['aliased-tsconfig-paths'] },
    },
    {
      name: 'the-sample-imports-no-tests',
      severity: 'error',
      from: { path: '^sample-app/' },
      to: { path: '^(test|bench)/' },
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-orphans',
      severity: 'error',
      from: { orphan: true, pathNot: '[.](spec|config)[.][jt]s$' },
      to: {},
    },
    {
      name: 'no-unresolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true, pathNot: '/[.]build/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|[.]build)/' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['types', 'import', 'require', 'node', 'default'],
    },
  },
};
