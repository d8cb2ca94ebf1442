import type {
  BeforeApplicationShutdown,
  InjectionToken,
  OnApplicationBootstrap,
  OnApplicationShutdown,
  OnModuleDestroy,
  OnModuleInit,
} from '@nestjs/common';
import { LazyModuleLoader, type ModuleRef } from '@nestjs/core';
import { CommandBus, CqrsModule, EventBus } from '@nestjs/cqrs';
import type { EventBusBridge, EventBusMode } from '../event-bus/event-bus-bridge.ts';
import { warnOfUnstoredEvents } from '../event-bus/unstored-events.ts';
import { whenBound } from '../handlers/when-bound.ts';
import { EventStoreConfigurationError } from './configuration.error.ts';
import type { ApplicationConsumers, BootedStore } from './application-consumers.ts';
import { logger } from './log.ts';

export interface LifecycleOptions {
  readonly storeName: string;
  readonly eventBus: EventBusMode;
}

/**
 * Refuses to start with a problem, publishes and runs consumers, and drains before the end.
 *
 * Nest does not let an application with a server finish its start before it is shut down: what comes of
 * the start after that must do nothing.
 */
export class EventStoreLifecycle
  implements
    OnModuleInit,
    OnApplicationBootstrap,
    OnModuleDestroy,
    BeforeApplicationShutdown,
    OnApplicationShutdown
{
  #isEnding = false;
  #bootstrap: (() => void) | undefined;

  constructor(
    private readonly options: LifecycleOptions,
    private readonly booted: BootedStore,
    private readonly bridge: EventBusBridge,
    private readonly consumers: ApplicationConsumers,
    /** What is wrong with the options, the store, and the classes registered so far. */
    private readonly knownProblems: () => readonly string[],
    private readonly moduleRef: ModuleRef,
  ) {}

  /** By now all modules are there, so every problem is known and reported at once. */
  async onModuleInit(): Promise<void> {
    // The application's own bus: a second CqrsModule would have one without any handlers.
    const bus = this.#find(EventBus);
    const hasHandlers = this.#handlersBound();
    // Before the buses of @nestjs/cqrs look for handlers, which they do at bootstrap: durable ones are
    // not theirs.
    const problems = [...this.consumers.explore(hasHandlers), ...this.knownProblems()];
    if (this.options.eventBus !== 'off' && !bus) {
      problems.push(
        'There is no EventBus to publish on. Import CqrsModule.forRoot() of @nestjs/cqrs in your ' +
          "application's module, or set eventBus: 'off'.",
      );
    }
    this.#refuse(problems);
    this.#watchLazyModules();
    if (!bus || this.#isEnding) return;
    warnOfUnstoredEvents(bus, this.consumers.consumers.values(), logger);
    await this.bridge.start(bus, hasHandlers);
  }

  /** By now all modules are initialized, so handlers find what they need. */
  async onApplicationBootstrap(): Promise<void> {
    this.#bootstrap?.();
    if (this.#isEnding) return;
    this.#refuse(this.consumers.lateProblems());
    await this.consumers.start();
  }

  /** Consumers stop first: what they use is still there, and appends continue. */
  async onModuleDestroy(): Promise<void> {
    this.#isEnding = true;
    await this.consumers.stop();
  }

  /** Requests in flight still append after this, until the server has let go of them. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.booted.drain();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.bridge.stop();
    await this.booted.close();
  }

  /** An application that has made its buses without `CqrsModule` binds their handlers before bootstrap. */
  #handlersBound(): Promise<void> {
    const commandBus = this.#find(CommandBus);
    if (commandBus && this.#find(CqrsModule)) return whenBound(commandBus);
    return new Promise((resolve) => (this.#bootstrap = resolve));
  }

  /**
   * Lets the load of a lazy module fail if it brings a consumer: consumers are found when the application
   * starts, and one that comes later would never run, without a word.
   */
  #watchLazyModules(): void {
    const loader = this.#find(LazyModuleLoader);
    if (!loader) return;
    const load = loader.load.bind(loader);
    // What one module was refused for is no problem of the next; loaded once more, it is refused again.
    const known = new Set<string>();
    const refused = new WeakMap<ModuleRef, readonly string[]>();
    loader.load = async (...args) => {
      const loaded = await load(...args);
      const problems = [...this.consumers.lateProblems(), ...this.knownProblems()];
      const added = problems.filter((problem) => !known.has(problem));
      for (const problem of added) known.add(problem);
      if (added.length > 0) refused.set(loaded, added);
      this.#refuse(refused.get(loaded) ?? []);
      return loaded;
    };
  }

  #refuse(problems: readonly string[]): void {
    if (problems.length > 0)
      throw new EventStoreConfigurationError(this.options.storeName, problems);
  }

  #find<T>(token: InjectionToken<T>): T | undefined {
    try {
      return this.moduleRef.get<T>(token, { strict: false });
    } catch {
      return undefined;
    }
  }
}
