/** Told of what an operator should know. */
export interface RunnerLog {
  warn(message: string, error?: unknown): void;
  error(message: string, error?: unknown): void;
}
