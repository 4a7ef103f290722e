export type { DeadLetterCause, StoreAndForwardEvent, UnsealCard } from './delivery-lane.ts'
export * from './limits.ts'
export * from './store-and-forward.ts'
