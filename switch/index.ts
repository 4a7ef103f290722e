// The door of the switch: what benches, load tests and commands of other folders may use.

export { maskPan, Pan, passesLuhn } from './card-data/index.ts'
export * from './iso8583/index.ts'
export type * from './ports.ts'
