import { afterEach } from '@jest/globals';
import type { TestingModule } from '@nestjs/testing';
import type { TestDatabase } from '../support/database.ts';
import { useDatabase } from '../support/use-store.ts';

export interface UsedApplications {
  readonly database: TestDatabase;
  /** Those in it are closed after the test. */
  readonly applications: TestingModule[];
  /** Returns a name of a schema that no other test of the file uses. */
  newSchema(): string;
}

/** A database for the applications of the tests of a file. */
export function useApplications(): UsedApplications {
  const database = useDatabase();
  const applications: TestingModule[] = [];
  let schemas = 0;
  afterEach(async () => {
    await Promise.all(applications.splice(0).map((application) => application.close()));
  });
  return { database, applications, newSchema: () => `store_${(schemas += 1)}` };
}
