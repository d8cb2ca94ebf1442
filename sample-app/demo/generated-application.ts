import type {
  ApplicationCommand,
  CommandOptions,
} from '../applications/commands/application.command.ts';
import {
  AcceptApplication,
  ActivateApplication,
  ApproveApplication,
  CancelApplication,
  DeclineApplication,
  FinalizeApplication,
  PartlySubmitApplication,
  PreacceptApplication,
  RegisterApplication,
} from '../applications/commands/application.commands.ts';
import {
  AcceptOffer,
  CancelOffer,
  CreateOffer,
  DeclineOffer,
  SelectOffer,
  SendOffer,
  SendOfferBack,
} from '../applications/commands/offer.commands.ts';
import { SubmitApplication } from '../applications/commands/submit-application.ts';
import {
  CompleteWorkItem,
  ScheduleWorkItem,
  StartWorkItem,
} from '../applications/commands/work-item.commands.ts';
import type { WorkItemKind } from '../applications/work-items.ts';
import type { Step } from '../playback/play.ts';

type CommandClass = new (applicationId: string, options: CommandOptions) => ApplicationCommand;

const clerks = ['anna', 'bram', 'carla', 'daan', 'emma'];
const hour = 3_600_000;

/**
 * A made-up application: the same id, start and random numbers give the same steps.
 *
 * The chances are about those of the bank whose log `npm run replay` plays.
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
    this.do(PartlySubmitApplication);
    if (this.chance(0.26)) return this.do(DeclineApplication);

    this.work('handle-lead', 1);
    if (this.chance(0.24)) return this.do(DeclineApplication);

    this.do(PreacceptApplication);
    this.work('complete-application', 4);
    if (this.chance(0.15)) return this.do(CancelApplication);
    if (this.chance(0.18)) return this.do(DeclineApplication);

    this.do(AcceptApplication, FinalizeApplication, SelectOffer, CreateOffer, SendOffer);
    this.work('follow-up-offer', 6);
    if (this.chance(0.3)) {
      this.do(SelectOffer, CancelOffer, CreateOffer, SendOffer);
      this.work('follow-up-offer', 20);
    }
    if (this.chance(0.33)) return this.do(CancelOffer, CancelApplication);

    this.do(SendOfferBack);
    this.work('validate-application', 3);
    if (this.chance(0.3)) this.work('follow-up-incomplete-file', 30);
    if (this.chance(0.2)) return this.do(DeclineOffer, DeclineApplication);
    this.do(AcceptOffer, ApproveApplication, RegisterApplication, ActivateApplication);
  }

  /** Schedules a work item, works on it up to so many times, and closes it. */
  private work(kind: WorkItemKind, atMost: number): void {
    this.add(new ScheduleWorkItem(this.id, kind, this.now()));
    const times = 1 + Math.floor(this.random() * atMost);
    for (let time = 0; time < times; time += 1) {
      this.add(new StartWorkItem(this.id, kind, this.now()));
      this.add(new CompleteWorkItem(this.id, kind, this.now()));
    }
    this.add(new CompleteWorkItem(this.id, kind, this.now()));
  }

  private do(...commands: CommandClass[]): void {
    for (const Command of commands) this.add(new Command(this.id, this.now()));
  }

  private add(command: ApplicationCommand): void {
    const actor = clerks[Math.floor(this.random() * clerks.length)];
    this.steps.push({ command, actor });
  }

  /** Every step happens up to two days after the one before. */
  private now(): CommandOptions {
    this.time += Math.ceil(this.random() * 48 * hour);
    return { at: new Date(this.time) };
  }

  private chance(probability: number): boolean {
    return this.random() < probability;
  }
}
