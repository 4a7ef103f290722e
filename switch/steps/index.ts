// The door of the steps: what capture, reversal, refund and increment are made of, after the
// authorization that began their payment.

export * from './accept-step.ts'
export * from './ask-step.ts'
export * from './match-original.ts'
export * from './step-record.ts'
export * from './step-request.ts'
export * from './take-step.ts'
export type { TakenBack } from './taken-back.ts'
export * from './tombstone.ts'
