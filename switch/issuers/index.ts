export { type BackOff, backOffMs } from './back-off.ts'
export * from './create-issuer.ts'
export { type DeadlineEntry, Deadlines } from './deadlines.ts'
export { chipIn, type DialectRoom, roomOf } from './dialect-room.ts'
export type { HttpIssuerPorts } from './http-issuer.ts'
export type { IssuerState } from './iso-issuer.ts'
export type { BadMac, LinkDownReason, LinkMac } from './iso-link.ts'
export * from './issuer.ts'
export * from './issuer-events.ts'
export { originalDataElements } from './issuer-message.ts'
export { LeasedIssuer } from './leased-issuer.ts'
export {
  CONNECTIONS_MAX,
  IN_FLIGHT_MAX as LINK_IN_FLIGHT_MAX,
  REVERSALS_IN_FLIGHT_MAX,
} from './limits.ts'
export type { LineState } from './line.ts'
export { NO_STAN, TraceBook, type TraceSlot } from './trace-numbers.ts'
