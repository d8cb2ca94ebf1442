export { drain, type DrainOptions } from './drain.ts';
export { EventStoreTestingModule } from './event-store-testing.module.ts';
export { eventStoreContract, type EventStoreContractOptions } from './event-store-contract.ts';
export type { ContractStoreOptions, ContractSubject } from './contract/support/contract-test.ts';
export {
  projectionScenario,
  type ProjectionScenario,
  type ProjectionScenarioOptions,
  type RowQuery,
} from './projection-scenario.ts';
export {
  scenario,
  type Scenario,
  type ScenarioAggregate,
  type ScenarioOptions,
  type ScenarioOutcome,
} from './scenario.ts';
