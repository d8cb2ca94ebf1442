/** Measures events per second, smoothed over the last few seconds. */
export class RateMeter {
  #since = performance.now();
  #counted = 0;
  #perSecond = 0;

  /** Counts events and returns the current rate. */
  count(events: number): number {
    this.#counted += events;
    const seconds = (performance.now() - this.#since) / 1_000;
    if (seconds < 1) return this.#perSecond || this.#counted / Math.max(seconds, 0.05);
    const latest = this.#counted / seconds;
    this.#perSecond = this.#perSecond === 0 ? latest : 0.6 * latest + 0.4 * this.#perSecond;
    this.#since = performance.now();
    this.#counted = 0;
    return this.#perSecond;
  }
}
