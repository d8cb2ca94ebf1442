import type {
  BeforeApplicationShutdown,
  OnApplicationShutdown,
  OnModuleInit,
} from '@nestjs/common';
import type { ModuleRef } from '@nestjs/core';
import { EventBus } from '@nestjs/cqrs';
import { EventBusBridge, type EventBusBridgeOptions } from './event-bus/event-bus-bridge.ts';
import { EventStoreConfigurationError } from './event-store.configuration.error.ts';
import type { EventStore } from './store/event-store.ts';

/** A store as it was made at boot. */
export interface BootedStore {
  readonly store: EventStore;
  /** What is wrong with where it keeps its events, each fault with its remedy. */
  readonly faults: readonly string[];
  /** Resolves once all appends taken so far are settled. */
  drain(): Promise<void>;
  /** Takes no more appends and resolves once all that were taken are settled. */
  close(): Promise<void>;
}

export interface LifecycleOptions extends EventBusBridgeOptions {
  readonly storeName: string;
}

/** Refuses to start with a fault, publishes while the application runs, and drains before it ends. */
export class EventStoreLifecycle
  implements OnModuleInit, BeforeApplicationShutdown, OnApplicationShutdown
{
  #bridge: EventBusBridge | undefined;

  constructor(
    private readonly options: LifecycleOptions,
    private readonly booted: BootedStore,
    /** What is wrong with the options, the store, and the classes registered so far. */
    private readonly knownFaults: () => readonly string[],
    private readonly moduleRef: ModuleRef,
  ) {}

  /** By now all modules are there, so whatever is wrong is known and told at once. */
  async onModuleInit(): Promise<void> {
    const { storeName, eventBus } = this.options;
    const bus = eventBus === 'off' ? undefined : this.#findBus();
    const faults = [...this.knownFaults()];
    if (eventBus !== 'off' && !bus) {
      faults.push(
        'There is no EventBus to publish on. Import CqrsModule.forRoot() of @nestjs/cqrs in your ' +
          "application's module, or set eventBus: 'off'.",
      );
    }
    if (faults.length > 0) throw new EventStoreConfigurationError(storeName, faults);
    if (!bus) return;
    this.#bridge = new EventBusBridge(this.booted.store, bus, this.options);
    await this.#bridge.start();
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
