import { Presets, SingleBar } from 'cli-progress';

/**
 * Shows a progress bar while `work` runs a known number of commands, and then prints time and rate.
 *
 * Without a terminal it prints a line every five seconds.
 */
export async function withProgress(
  total: number,
  work: (onCommand: () => void) => Promise<void>,
): Promise<void> {
  const startedAt = performance.now();
  let done = 0;
  const seconds = (): number => (performance.now() - startedAt) / 1000;
  const rate = (): number => Math.round(done / seconds());

  const bar = new SingleBar(
    {
      format: '{bar} {percentage}% | {value} of {total} commands | {rate}/s | {eta_formatted} left',
      etaBuffer: 100,
      noTTYOutput: true,
      notTTYSchedule: 5000,
    },
    Presets.shades_classic,
  );
  bar.start(total, 0, { rate: 0 });
  const draw = (): void => bar.update(done, { rate: rate() });
  // Draws by the clock, not at every command, because drawing costs more than a command.
  const drawing = setInterval(draw, 250);
  try {
    await work(() => {
      done += 1;
    });
  } finally {
    clearInterval(drawing);
    draw();
    bar.stop();
  }
  console.log(`${done} commands in ${seconds().toFixed(1)} s: ${rate()} commands/s.`);
}
