/** Takes what an operator should know. */
export interface OperatorLog {
  warn(message: string, error?: unknown): void;
  error(message: string, error?: unknown): void;
}
