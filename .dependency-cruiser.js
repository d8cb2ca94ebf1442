/**
 * What each room of lib/ may import besides its own files and the base error: other rooms, packages, and
 * packages of which it may know the types only. All else is refused. A room inside another has its own
 * entry; the outer one does not cover it. `module` and `http` may import every room.
 */
const core = ['input', 'events', 'store'];
const rooms = {
  input: {},
  events: { rooms: ['input'], packages: ['msgpackr'], types: ['@standard-schema/spec'] },
  store: { rooms: ['input', 'events'], types: ['typeorm'] },
  aggregates: { rooms: core, packages: ['@nestjs/cqrs', 'lru-cache'] },
  subscriptions: { rooms: core, types: ['typeorm'] },
  'subscriptions/running': { rooms: [...core, 'subscriptions'], types: ['typeorm'] },
  'subscriptions/control': { rooms: [...core, 'subscriptions', 'subscriptions/running'] },
  projections: { rooms: [...core, 'subscriptions'], types: ['typeorm'] },
  handlers: {
    rooms: [...core, 'subscriptions'],
    packages: ['@nestjs/cqrs', '@nestjs/common', '@nestjs/core', 'rxjs'],
  },
  evidence: { rooms: core },
  'event-bus': { rooms: core, packages: ['@nestjs/cqrs', '@nestjs/common', 'rxjs'] },
  'postgres/connection': { rooms: ['input', 'store'], packages: ['typeorm', 'pg'] },
  'postgres/schema': { rooms: ['input', 'postgres/connection'], packages: ['typeorm'] },
  'postgres/projections': {
    rooms: [...core, 'subscriptions', 'postgres/connection'],
    types: ['typeorm'],
  },
  'postgres/store': {
    rooms: [
      ...[...core, 'subscriptions'],
      ...['postgres/connection', 'postgres/schema', 'postgres/projections'],
    ],
    types: ['typeorm'],
  },
  'postgres/subscriptions': {
    rooms: [
      ...[...core, 'subscriptions'],
      ...['postgres/connection', 'postgres/schema', 'postgres/projections', 'postgres/store'],
    ],
    types: ['typeorm', 'pg'],
  },
  'postgres/evidence': {
    rooms: [...core, 'evidence', 'postgres/connection', 'postgres/schema', 'postgres/store'],
    types: ['typeorm', 'pg'],
  },
  testing: {
    rooms: [
      ...[...core, 'aggregates', 'subscriptions', 'subscriptions/control', 'projections'],
      // The testing module is the real one with another store.
      'module',
    ],
    packages: ['@nestjs/common'],
    types: ['typeorm'],
  },
};

const baseError = '^lib/event-store[.]error[.]ts$';
const escapedText = '^lib/input/printable-name[.]ts$';
const wiring = '^lib/(module/|event-store[.]module[.]ts$)';
const entryPoints = '^lib/(index|testing/index)[.]ts$';
const anyPackage = ['npm', 'npm-dev', 'npm-peer', 'npm-optional', 'npm-no-pkg', 'npm-unknown'];

const packagePaths = (names) => names.map((name) => `^node_modules/(@types/)?${name}/`);

/** The files of a room, without those of the rooms inside it. */
const filesOf = (room) => {
  const inner = Object.keys(rooms).filter((each) => each.startsWith(`${room}/`));
  const excluded = inner.map((each) => `(?!${each.slice(room.length + 1)}/)`).join('');
  return `^lib/${room}/${excluded}`;
};

const roomRules = Object.entries(rooms).flatMap(
  ([room, { rooms: others = [], packages = [], types = [] }]) => [
    {
      name: `${room}-imports-only-what-it-may`,
      severity: 'error',
      from: { path: filesOf(room) },
      to: {
        path: '^lib/',
        pathNot: [
          ...[room, ...others].map((each) => (each === 'module' ? wiring : filesOf(each))),
          baseError,
        ],
      },
    },
    {
      name: `${room}-imports-only-its-packages`,
      severity: 'error',
      from: { path: filesOf(room) },
      to: { dependencyTypes: anyPackage, pathNot: packagePaths([...packages, ...types]) },
    },
    {
      name: `${room}-knows-only-types-of-a-package`,
      severity: 'error',
      from: { path: filesOf(room) },
      to: { path: packagePaths(types), dependencyTypesNot: ['type-only'] },
    },
  ],
);

export default {
  forbidden: [
    ...roomRules.filter(({ to }) => to.path === undefined || to.path.length > 0),
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
      from: { path: '^lib/([^/]+[.]ts$|module/|http/)' },
      to: {
        dependencyTypes: anyPackage,
        pathNot: packagePaths(['@nestjs/[^/]+', 'typeorm', 'rxjs']),
      },
    },
    {
      name: 'the-core-does-no-input-or-output',
      severity: 'error',
      from: { path: '^lib/(input|events|store|aggregates|subscriptions|projections)/' },
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
      to: { path: '^(sample-app|dev|test|bench|docs)/' },
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
    {
      name: 'the-embedded-server-imports-nothing-of-the-project',
      severity: 'error',
      from: { path: '^dev/' },
      to: { path: '^(lib|dist|sample-app|test|bench)/' },
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
