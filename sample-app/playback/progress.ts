import { Presets, SingleBar } from 'cli-progress';

/** A progress bar over a known number of commands; without a terminal, a line now and then. */
export class Progress {
  private readonly startedAt = performance.now();
  private readonly bar = new SingleBar(
    {
      format: '{bar} {percentage}% | {value} of {total} commands | {rate}/s | {eta_formatted} left',
      etaBuffer: 5000,
      noTTYOutput: true,
      notTTYSchedule: 5000,
    },
    Presets.shades_classic,
  );
  private done = 0;

  constructor(total: number) {
    this.bar.start(total, 0, { rate: 0 });
  }

  step(): void {
    this.done += 1;
    this.bar.update(this.done, { rate: this.rate() });
  }

  /** Ends the bar and returns what it took, as a sentence. */
  finish(): string {
    this.bar.stop();
    const seconds = (performance.now() - this.startedAt) / 1000;
    return `${this.done} commands in ${seconds.toFixed(1)} s: ${this.rate()} commands/s.`;
  }

  private rate(): number {
    return Math.round((this.done / (performance.now() - this.startedAt)) * 1000);
  }
}
