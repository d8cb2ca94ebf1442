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
 * Refuses to start with a problem, starts publishing and the consumers, and drains before the shutdown.
 *
 * Nest can shut down an application with a server before its start has finished. Every step of the
 * start that comes after the shutdown must do nothing.
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
    /** Returns the problems of the options, the store, and the classes registered so far. */
    private readonly knownProblems: () => readonly string[],
    private readonly moduleRef: ModuleRef,
  ) {}

  /** All modules exist by now, so every problem is known and is reported at once. */
  async onModuleInit(): Promise<void> {
    // The application's own bus: that of a second CqrsModule would have no handlers.
    const bus = this.#find(EventBus);
    const hasHandlers = this.#handlersBound();
    // Before the buses of @nestjs/cqrs look for handlers at bootstrap, so that they skip the durable
    // ones.
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

  /** All modules are initialized by now, so handlers find what they need. */
  async onApplicationBootstrap(): Promise<void> {
    this.#bootstrap?.();
    if (this.#isEnding) return;
    this.#refuse(this.consumers.lateProblems());
    await this.consumers.start();
  }

  /** Stops the consumers first, while what they use still exists; appends continue. */
  async onModuleDestroy(): Promise<void> {
    this.#isEnding = true;
    await this.consumers.stop();
  }

  /** Requests in flight still append after this, until the server has finished them. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.booted.drain();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.bridge.stop();
    await this.booted.close();
  }

  /**
   * An application that creates its buses without `CqrsModule` binds their handlers before bootstrap.
   */
  #handlersBound(): Promise<void> {
    const commandBus = this.#find(CommandBus);
    if (commandBus && this.#find(CqrsModule)) return whenBound(commandBus);
    return new Promise((resolve) => (this.#bootstrap = resolve));
  }

  /**
   * Makes the load of a lazy module fail if the module has a consumer: consumers are found when the
   * application starts, and a later one would silently never run.
   */
  #watchLazyModules(): void {
    const loader = this.#find(LazyModuleLoader);
    if (!loader) return;
    const load = loader.load.bind(loader);
    // A problem of one lazy module is not reported for the next; a second load of the same one is
    // refused again.
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
