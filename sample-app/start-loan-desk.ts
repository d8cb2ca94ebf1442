import type { INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.ts';
import { provideDatabase } from '../dev/postgres/provide-database.ts';
import { configureHttp } from './http/configure-http.ts';

export interface LoanDesk {
  readonly app: INestApplication;
  /** The address of the server, such as `http://127.0.0.1:3000`. */
  readonly url: string;
  readonly stop: () => Promise<void>;
}

/** Starts the database and the application on it; port 0 takes any free one. */
export async function startLoanDesk(options: {
  readonly schema: string;
  readonly port: number;
}): Promise<LoanDesk> {
  const database = await provideDatabase();
  try {
    const app = await NestFactory.create(
      AppModule.forRoot({ url: database.url, schema: options.schema }),
      { logger: ['warn', 'error', 'fatal'], abortOnError: false },
    );
    configureHttp(app);
    await app.listen(options.port, '127.0.0.1');
    const stop = async (): Promise<void> => {
      await app.close();
      await database.stop();
    };
    return { app, url: await app.getUrl(), stop };
  } catch (error) {
    await database.stop();
    throw error;
  }
}
