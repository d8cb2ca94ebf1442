export type { OpenAppend, LogHorizon } from './store/reading/log-horizon.ts';
export { EventStoreModule } from './event-store.module.ts';
export type { EventStoreExtras } from './module/module-definition.ts';
export type { EventStoreOptions, MigrationsMode } from './module/options.ts';
export type { PoolerMode } from './postgres/connection/checks/session-check.ts';
export type { EventStoreFeature } from './module/providers.ts';
export {
  getAggregateRepositoryToken,
  getConsumersToken,
  getEventLogVerifierToken,
  getEventStoreToken,
  InjectAggregateRepository,
  InjectConsumers,
  InjectEventLogVerifier,
  InjectEventStore,
  type StoreSelection,
} from './module/tokens.ts';
export { ReadYourWrites } from './http/read-your-writes.interceptor.ts';
export { EventStoreConfigurationError } from './module/configuration.error.ts';
export { EventStoreError, type FailureOutcome } from './event-store.error.ts';

export { BinaryCodec, type BinaryCodecOptions } from './events/payload/binary.codec.ts';
export {
  DomainEvent,
  type DateMembers,
  type DomainEventOptions,
  type EventClass,
} from './events/domain-event.decorator.ts';
export type { CodecHints, EncodedPayload, EventCodec } from './events/payload/event-codec.ts';
export { EventData } from './events/event-data.ts';
export {
  currentMetadata,
  runWithMetadata,
  type EventMetadata,
  type JsonValue,
} from './events/metadata/event-metadata.ts';
export { recordOf, type EventRecord } from './events/event-record.ts';
export {
  EventSchemaError,
  type EventSchemaIssue,
  EventTooLargeError,
  InvalidEventError,
  UndecodableEventError,
  UndecodablePayloadError,
  UnknownEventTypeError,
  UnregisteredEventError,
  UpcastError,
} from './events/events.errors.ts';
export { JsonCodec } from './events/payload/json.codec.ts';
export {
  upcaster,
  type UpcastContext,
  type UpcastEvent,
  type UpcastPayload,
  type Upcaster,
} from './events/upcaster.ts';

export type { AggregateRef } from './store/aggregate-ref.ts';
export { compareVersion, type VersionComparison } from './store/compare-version.ts';
export { EventStore } from './store/event-store.ts';
export type { StoreOptions } from './store/store-options.ts';
export type {
  AggregateRange,
  EventStorage,
  HistoryStart,
  LogRange,
  StorageTransactions,
  StoredAggregate,
  StoredHistory,
  StoredLogPage,
} from './store/event-storage.ts';
export type { PreparedCall } from './store/appending/prepare-append.ts';
export type { PreparedAppend } from './store/appending/prepared-append.ts';
export type { StoredEvent } from './events/event-serializer.ts';
export type { LogMark } from './store/reading/log-place.ts';
export type { StoredSnapshot } from './store/reading/revive-snapshot.ts';
export type {
  AggregateHistory,
  HistoryOptions,
  Snapshot,
  SnapshotOptions,
} from './store/reading/aggregate-history.ts';
export type { AggregatePage, LogPage } from './store/reading/pages.ts';
export type {
  Append,
  AppendListener,
  AppendOptions,
  AppendResult,
} from './store/appending/append.ts';
export type { ExpectedVersion } from './store/appending/expected-version.ts';
export {
  InMemoryEventStore,
  type InMemoryEventStoreOptions,
} from './store/in-memory/in-memory.event-store.ts';
export type {
  AggregateReadOptions,
  ReadDirection,
  ReadOptions,
} from './store/reading/read-options.ts';
export type { IsolationLevel, TransactionOptions } from './store/transaction-options.ts';

export {
  AccessDeniedError,
  ConnectionLostError,
  ConstraintViolatedError,
  DatabaseError,
  DatabaseServerError,
  DiskFullError,
  DurabilityUncertainError,
  ReadOnlyDatabaseError,
  SchemaMismatchError,
  StatementCancelledError,
  StatementFailedError,
  TooManyConnectionsError,
  TransactionConflictError,
} from './postgres/connection/errors/database.errors.ts';
export {
  AggregateLockedError,
  AppendTooLargeError,
  DuplicateEventError,
  type DuplicateFacts,
  type DuplicateReason,
  StoreOverloadedError,
  WrongExpectedVersionError,
} from './store/appending/append.errors.ts';
export {
  CorruptAggregateError,
  InvalidAggregateRefError,
  NestedTransactionError,
  LogDivergedError,
  RemovalRefusedError,
  SnapshotAheadError,
  StoreClosedError,
  TransactionOverError,
  UnsupportedFeatureError,
  TransactionRequiredError,
} from './store/store.errors.ts';

export {
  Aggregate,
  type AggregateClass,
  type AggregateOptions,
  type IdentifiedAggregate,
} from './aggregates/aggregate.decorator.ts';
export { AggregateRepository } from './aggregates/aggregate-repository.ts';
export type {
  ExecuteOptions,
  ExecuteResult,
  LoadOptions,
  SaveOptions,
} from './aggregates/repository-options.ts';
export {
  AggregateInUseError,
  AggregateNotFoundError,
  AutoCommitUnsupportedError,
  CommitBeforeSaveError,
  LostEventsError,
  NestedExecuteError,
  UnknownAggregateError,
} from './aggregates/aggregates.errors.ts';
export { everyNEvents, type SnapshotPolicy } from './aggregates/snapshot-policy.ts';

export type { ConsumerKind, GenerationHooks, GenerationScope } from './subscriptions/consumer.ts';
export type { ConsumerOptions, FailurePolicy } from './subscriptions/consumer-options.ts';
export type { RebuildOptions } from './subscriptions/consumer-registry.ts';
export type {
  ConsumerFailure,
  ConsumersState,
  ConsumerState,
  ParkedAggregate,
  PartitionState,
  RebuildProgress,
  SkippedEvent,
} from './subscriptions/consumer-state.ts';
export type { ConsumerStatus } from './subscriptions/consumer-status.ts';
export {
  Consumers,
  type SkippedOptions,
  type WaitOptions,
} from './subscriptions/control/consumers.ts';
export type { SkipOptions } from './subscriptions/skip-options.ts';
export { currentDelivery, type Delivery } from './subscriptions/delivery/delivery.ts';
export { Durable, type DurableOptions } from './handlers/durable.decorator.ts';
export {
  exponentialBackoff,
  type ExponentialBackoffOptions,
  noRetry,
  type RetryPolicy,
} from './subscriptions/retry-policy.ts';
export {
  ConsumerStateError,
  HandlerCrashedError,
  HandlerTimeoutError,
  HistoryDivergedError,
  ReadModelLostError,
  LeaseLostError,
  UnknownConsumerError,
  WaitTimeoutError,
} from './subscriptions/subscriptions.errors.ts';

export {
  type BatchMethod,
  type EventMethod,
  On,
  OnBatch,
  Projection,
  type ProjectionContext,
  type ProjectionMode,
  type ProjectionOptions,
} from './projections/projection.decorator.ts';

export { InvalidSagaError } from './handlers/handlers.errors.ts';
export type { EventBusMode } from './event-bus/event-bus-bridge.ts';

export {
  EventLogVerifier,
  type AnchorOptions,
  type VerifyOptions,
} from './evidence/event-log-verifier.ts';
export { AnchorFileError, HashChainOffError } from './evidence/evidence.errors.ts';
export type { AnchorKey, LogAnchor } from './evidence/log-anchor.ts';
export type { LogFinding, LogFindingKind, LogReport } from './evidence/log-report.ts';

export { eventStoreEntities } from './postgres/schema/entities/index.ts';
export { AggregateEntity } from './postgres/schema/entities/aggregate.entity.ts';
export { DomainEventEntity } from './postgres/schema/entities/domain-event.entity.ts';
export { grantsSql, type GrantsSqlOptions } from './postgres/schema/grants.ts';
export { hashChainSql } from './postgres/schema/hash-chain.ts';
export { eventStoreMigrations } from './postgres/schema/migrations/index.ts';
