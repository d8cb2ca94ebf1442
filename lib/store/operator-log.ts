/** Receives messages for the operator. */
export interface OperatorLog {
  warn(message: string, error?: unknown): void;
  error(message: string, error?: unknown): void;
}
