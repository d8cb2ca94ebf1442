import type {
  ApplicationCommand,
  CommandOptions,
} from '../applications/commands/application.command.ts';
import { CreateOffer } from '../applications/commands/create-offer.ts';
import { type PlainStep, MoveApplication } from '../applications/commands/move-application.ts';
import { MoveWorkItem } from '../applications/commands/move-work-item.ts';
import { SubmitApplication } from '../applications/commands/submit-application.ts';
import type { WorkItemKind, WorkItemStep } from '../applications/work-items.ts';
import type { Step } from '../playback/play.ts';

const clerks = ['anna', 'bram', 'carla', 'daan', 'emma'];
const hour = 3_600_000;

/**
 * A made-up application: the same id, start and random numbers always give the same steps.
 *
 * The probabilities are close to those of the bank whose log `npm run replay` plays.
 */
export class GeneratedApplication {
  readonly steps: Step[] = [];
  private time: number;

  constructor(
    readonly id: string,
    startsAt: Date,
    private readonly random: () => number,
  ) {
    this.time = startsAt.getTime();
    this.live();
  }

  private live(): void {
    const amount = 500 + 500 * Math.floor(100 * this.random() ** 2);
    this.add(new SubmitApplication(this.id, amount, this.now()));
    this.do('partly-submit');
    if (this.chance(0.26)) return this.do('decline');

    this.work('handle-lead', 1);
    if (this.chance(0.24)) return this.do('decline');

    this.do('preaccept');
    this.work('complete-application', 4);
    if (this.chance(0.15)) return this.do('cancel');
    if (this.chance(0.18)) return this.do('decline');

    this.do('accept', 'finalize', 'offers/select');
    this.offer();
    this.work('follow-up-offer', 6);
    if (this.chance(0.3)) {
      this.do('offers/select', 'offers/cancel');
      this.offer();
      this.work('follow-up-offer', 20);
    }
    if (this.chance(0.33)) return this.do('offers/cancel', 'cancel');

    this.do('offers/send-back');
    this.work('validate-application', 3);
    if (this.chance(0.3)) this.work('follow-up-incomplete-file', 30);
    if (this.chance(0.2)) return this.do('offers/decline', 'decline');
    this.do('offers/accept', 'approve', 'register', 'activate');
  }

  /** Schedules a work item, works on it up to `atMost` times, and closes it. */
  private work(kind: WorkItemKind, atMost: number): void {
    this.moveWork('schedule', kind);
    const times = 1 + Math.floor(this.random() * atMost);
    for (let time = 0; time < times; time += 1) {
      this.moveWork('start', kind);
      this.moveWork('complete', kind);
    }
    this.moveWork('complete', kind);
  }

  private moveWork(step: WorkItemStep, kind: WorkItemKind): void {
    this.add(new MoveWorkItem(this.id, step, kind, this.now()));
  }

  /** Writes the selected offer and sends it. */
  private offer(): void {
    this.add(new CreateOffer(this.id, this.now()));
    this.do('offers/send');
  }

  private do(...steps: PlainStep[]): void {
    for (const step of steps) this.add(new MoveApplication(this.id, step, this.now()));
  }

  private add(command: ApplicationCommand): void {
    const actor = clerks[Math.floor(this.random() * clerks.length)];
    this.steps.push({ command, actor });
  }

  /** Every step happens up to two days after the previous one. */
  private now(): CommandOptions {
    this.time += Math.ceil(this.random() * 48 * hour);
    return { at: new Date(this.time) };
  }

  private chance(probability: number): boolean {
    return this.random() < probability;
  }
}
