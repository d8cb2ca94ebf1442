/** A process that measures how long its application takes to start; `start-ups.ts` starts it. */
import { offer, startValue } from '../../test/support/process-calls.ts';

const { url, withModule } = startValue() as { url: string; withModule: boolean };

const started = performance.now();
await import('reflect-metadata');
const { NestFactory } = await import('@nestjs/core');
const { CqrsModule } = await import('@nestjs/cqrs');
const { TypeOrmModule } = await import('@nestjs/typeorm');
const imports = [
  TypeOrmModule.forRoot({ type: 'postgres', url, installExtensions: false }),
  CqrsModule.forRoot(),
];
if (withModule) {
  const { EventStoreModule } = (await import('../library.ts')).library;
  imports.push(EventStoreModule.forRoot());
}
const module = class Application {};
const application = await NestFactory.createApplicationContext(
  { module, imports },
  { logger: ['warn', 'error'] },
);
const tookMs = performance.now() - started;

const functions = { tookMs: () => tookMs };
export type StartUp = typeof functions;
offer(functions, () => application.close());
