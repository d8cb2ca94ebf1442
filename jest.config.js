/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.spec.ts'],
  // Run by npm run test:all, npm run test:faults and npm run test:timing.
  testPathIgnorePatterns: ['/node_modules/', '<rootDir>/test/faults/', '<rootDir>/test/timing/'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: {
    '^nest-event-store$': '<rootDir>/lib/index.ts',
    '^nest-event-store/testing$': '<rootDir>/lib/testing/index.ts',
  },
  transform: {
    '\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2023',
          keepClassNames: true,
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true },
        },
      },
    ],
  },
  globalSetup: '<rootDir>/test/support/global-setup.ts',
  globalTeardown: '<rootDir>/test/support/global-teardown.ts',
  coverageProvider: 'v8',
  collectCoverageFrom: ['lib/**/*.ts'],
  // Specs wait for conditions. What never comes is found by the minute, however slow the machine is.
  testTimeout: 900_000,
  maxWorkers: 2,
  // Modules are evaluated anew for every file and never freed under --experimental-vm-modules.
  workerIdleMemoryLimit: '768MB',
};
