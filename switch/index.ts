// The door of the switch: what benches, load tests and commands of other folders may use.

export { fingerprintOf } from './admit.ts'
export {
  CardVault,
  type KeyRing,
  maskPan,
  newKeyFile,
  Pan,
  parseKeyFile,
  passesLuhn,
} from './card-data/index.ts'
export * from './iso8583/index.ts'
export { AuthorizationSchema, parseAuthorization } from './message.ts'
export type * from './ports.ts'
