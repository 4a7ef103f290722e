export * from './aggregate.ts'
export * from './outcome.ts'
export * from './rule-set.ts'
