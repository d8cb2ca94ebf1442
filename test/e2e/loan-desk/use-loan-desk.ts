import type { Server } from 'node:http';
import { afterAll, beforeAll } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import request from 'supertest';
import { AppModule } from '../../../sample-app/app.module.ts';
import { configureHttp } from '../../../sample-app/http/configure-http.ts';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';

const steps = [
  'partly-submit',
  'preaccept',
  'accept',
  'finalize',
  'offers/select',
  'offers/create',
  'offers/send',
  'offers/send-back',
  'offers/accept',
  'approve',
];

/** The sample application in a database of its own, and requests to it. */
export function useLoanDesk() {
  let database: TestDatabase;
  let app: INestApplication<Server>;

  async function startApp(): Promise<INestApplication<Server>> {
    const started = await NestFactory.create<INestApplication<Server>>(
      AppModule.forRoot({ url: database.url, schema: 'loan_desk' }),
      { logger: false },
    );
    configureHttp(started);
    return started.init();
  }

  beforeAll(async () => {
    database = await createTestDatabase();
    app = await startApp();
  });
  afterAll(async () => {
    await app?.close();
    await database?.drop();
  });

  const http = () => request(app.getHttpServer());

  /** Submits an application and takes it up to a step, which is its last one. */
  async function toStep(last: string, amount?: number): Promise<string> {
    const id = await submit(amount);
    for (const step of steps.slice(0, steps.indexOf(last) + 1)) {
      await http().post(`/applications/${id}/${step}`).expect(200);
    }
    return id;
  }

  async function submit(amount = 9000): Promise<string> {
    const response = await http().post('/applications').send({ amount }).expect(201);
    return response.body.id;
  }

  return {
    get database(): TestDatabase {
      return database;
    },
    get app(): INestApplication<Server> {
      return app;
    },
    startApp,
    http,
    submit,
    toStep,
  };
}
