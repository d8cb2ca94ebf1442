import { type LoanDesk, startLoanDesk } from './start-loan-desk.ts';

/**
 * Starts the loan desk, runs `work` on it, and stops it again. The process then exits with 0 if the
 * work returned true, and with 1 otherwise.
 *
 * Ctrl-C aborts `interruption`; an error that the work throws after that is ignored.
 */
export async function runOnLoanDesk(
  schema: string,
  work: (desk: LoanDesk, interruption: AbortSignal) => Promise<boolean>,
): Promise<void> {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => controller.abort());

  const desk = await startLoanDesk({ schema, port: 0 });
  try {
    process.exitCode = (await work(desk, controller.signal)) ? 0 : 1;
  } catch (error) {
    if (!controller.signal.aborted) throw error;
    console.log('Interrupted. What was done so far is recorded.');
    process.exitCode = 130;
  } finally {
    await desk.stop();
  }
}
