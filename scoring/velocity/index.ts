// The door to velocity: counters over entities and windows, on Redis or embedded.

export { supportsAggregate } from './plan.ts'
export * from './velocity.ts'
