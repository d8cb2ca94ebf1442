import { setTimeout as delay } from 'node:timers/promises';
import { type Random, random } from '../../support/random.ts';
import type { Trial } from './trial.ts';

/** Makes one trouble after another for a trial; its first application is never killed. */
export class Trouble {
  readonly #trial: Trial;
  readonly #choices: Random;

  constructor(trial: Trial, choices: Random) {
    this.#trial = trial;
    this.#choices = choices;
  }

  /** Makes some trouble until it is over; returns what it was. */
  async make(): Promise<string> {
    const kinds = {
      'an application was killed': () =>
        this.#trial.killAndRestart(this.#choices.integer(1, this.#trial.applications.length - 1)),
      'an application was frozen': () => this.#freezeApplication(),
      'the server was stopped': () => this.#takeDown('stopped'),
      'the first process of the server was killed': () => this.#takeDown('killed'),
      'the server crashed': () => this.#takeDown('crashed'),
      'the server was frozen': () => this.#freezeServer(),
      'backends were terminated': () => this.#terminateBackends(),
      'connections were reset': () => this.#resetConnections(),
      'connections went half-open': () => this.#swallowConnections(),
      'the network was slow': () => this.#slowDown(),
    };
    const what = this.#choices.pick(Object.keys(kinds) as (keyof typeof kinds)[]);
    await kinds[what]();
    return what;
  }

  #pause(longestMs: number): Promise<void> {
    return delay(this.#choices.integer(50, longestMs));
  }

  async #takeDown(how: 'stopped' | 'killed' | 'crashed'): Promise<void> {
    await this.#trial.server.goDown(how);
    await this.#pause(2_000);
    await this.#trial.server.comeBack();
  }

  async #freezeApplication(): Promise<void> {
    const application = this.#choices.pick(this.#trial.applications);
    application.freeze();
    await this.#pause(3_000);
    application.thaw();
  }

  async #freezeServer(): Promise<void> {
    this.#trial.server.freeze();
    await this.#pause(2_000);
    this.#trial.server.thaw();
  }

  async #terminateBackends(): Promise<void> {
    for (let n = this.#choices.integer(1, 10); n > 0; n--) {
      await this.#trial.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE application_name <> 'trial' AND backend_type = 'client backend'
         ORDER BY md5(pid::text || $1::text) LIMIT 3`,
        [n],
      );
      await this.#pause(100);
    }
  }

  async #resetConnections(): Promise<void> {
    const proxy = this.#trial.proxy!;
    // A random source of its own, because the number of requests differs from run to run.
    const choices = random(this.#choices.integer(0, 2 ** 30));
    proxy.interfere = () =>
      choices.next() < 0.02
        ? choices.pick(['lost', 'reply-lost', 'left-behind'] as const)
        : undefined;
    await this.#pause(3_000);
    proxy.interfere = () => undefined;
  }

  async #swallowConnections(): Promise<void> {
    const open = this.#trial.proxy!.connections.filter((each) => each.isOpen);
    const choices = random(this.#choices.integer(0, 2 ** 30));
    for (const connection of open) if (choices.next() < 0.2) connection.swallow();
    await this.#pause(1_000);
  }

  async #slowDown(): Promise<void> {
    const proxy = this.#trial.proxy!;
    proxy.delayMs = this.#choices.integer(1, 50);
    await this.#pause(3_000);
    proxy.delayMs = 0;
  }
}
