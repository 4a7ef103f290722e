// The door of the issuer simulator: what its readers (books, launchers, tests) may know of it.

export { type Behaviour, wellBehaved } from './behaviour.ts'
export {
  isLive,
  type LedgerCapture,
  type LedgerEntry,
  type LedgerReversal,
  type LedgerSummary,
  type Position,
  positionOf,
  requestKey,
} from './ledger.ts'
