import type {
  BeforeApplicationShutdown,
  OnApplicationBootstrap,
  OnApplicationShutdown,
  OnModuleDestroy,
  OnModuleInit,
} from '@nestjs/common';
import type { ModuleRef } from '@nestjs/core';
import { EventBus } from '@nestjs/cqrs';
import { EventBusBridge, type EventBusBridgeOptions } from './event-bus/event-bus-bridge.ts';
import { EventStoreConfigurationError } from './event-store.configuration.error.ts';
import type { ApplicationConsumers, BootedStore } from './event-store.consumers.ts';

export interface LifecycleOptions extends EventBusBridgeOptions {
  readonly storeName: string;
}

/**
 * Refuses to start with a fault, publishes and runs consumers, and drains before the end.
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
  #bridge: EventBusBridge | undefined;
  #isEnding = false;

  constructor(
    private readonly options: LifecycleOptions,
    private readonly booted: BootedStore,
    private readonly consumers: ApplicationConsumers,
    /** What is wrong with the options, the store, and the classes registered so far. */
    private readonly knownFaults: () => readonly string[],
    private readonly moduleRef: ModuleRef,
  ) {}

  /** By now all modules are there, so whatever is wrong is known and told at once. */
  async onModuleInit(): Promise<void> {
    const { storeName, eventBus } = this.options;
    const bus = eventBus === 'off' ? undefined : this.#findBus();
    // Before the buses of @nestjs/cqrs look for handlers, which they do at bootstrap: durable ones are
    // not theirs.
    const faults = [...this.consumers.explore(), ...this.knownFaults()];
    if (eventBus !== 'off' && !bus) {
      faults.push(
        'There is no EventBus to publish on. Import CqrsModule.forRoot() of @nestjs/cqrs in your ' +
          "application's module, or set eventBus: 'off'.",
      );
    }
    if (faults.length > 0) throw new EventStoreConfigurationError(storeName, faults);
    if (!bus || this.#isEnding) return;
    this.#bridge = new EventBusBridge(this.booted.store, bus, this.options);
    await this.#bridge.start();
    if (this.#isEnding) await this.#bridge.stop();
  }

  /** By now all modules are initialized, so handlers find what they need. */
  async onApplicationBootstrap(): Promise<void> {
    if (!this.#isEnding) await this.consumers.start();
  }

  /** Consumers come to rest first: what they use is still there, and appends go on. */
  async onModuleDestroy(): Promise<void> {
    this.#isEnding = true;
    await this.consumers.stop();
  }

  /** Requests in flight still append after this, until the server has let go of them. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.booted.drain();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#bridge?.stop();
    await this.booted.close();
  }

  /** The application's own bus: a second CqrsModule would have one without any handlers. */
  #findBus(): EventBus | undefined {
    try {
      return this.moduleRef.get(EventBus, { strict: false });
    } catch {
      return undefined;
    }
  }
}
