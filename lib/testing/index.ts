export { eventStoreContract, type EventStoreContractOptions } from './event-store-contract.ts';
export type { ContractStoreOptions, ContractSubject } from './contract/contract-test.ts';
