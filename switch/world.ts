// What the message path works with: everything outside it, handed in once at the start.

import type { Clock, KeyedHash, Scorer, Timers } from '#scoring'
import type { CardVault, KeyRing } from './card-data/index.ts'
import type { AcquirerConfig, Config } from './config/index.ts'
import type { InFlight } from './in-flight.ts'
import type { Issuer } from './issuers/index.ts'
import type { Journal } from './observe/index.ts'
import type { Router } from './route.ts'
import type { Attempt, TransactionStore } from './store/index.ts'
import type { StoreAndForward } from './store-and-forward/index.ts'
import type { IdentifierSource } from './ulid.ts'

export interface World {
  readonly config: Config
  readonly clock: Clock
  readonly timers: Timers
  readonly keys: KeyRing
  readonly vault: CardVault
  /** Under the key for this purpose: what tells the same request from another one. */
  readonly fingerprints: KeyedHash
  readonly identifiers: IdentifierSource
  readonly store: TransactionStore
  readonly scorer: Scorer & { readonly queueDepth: number }
  readonly router: Router
  readonly issuers: ReadonlyMap<string, Issuer>
  /** Trace numbers toward an issuer by its name, configured today or not. */
  readonly traceNumbers: (issuer: string) => Pick<Issuer, 'drawTraceNumbers'>
  readonly storeAndForward: StoreAndForward
  readonly inFlight: InFlight
  readonly journal: Journal
  /** Which transaction an attempt belongs to, for answers that come late. Held weakly. */
  readonly attemptOwners: WeakMap<Attempt, string>
  /** Set once by SIGTERM or a store fault: nothing new is let in. */
  readonly door: Door
}

/** Whether new work is let in. */
export interface Door {
  isOpen: boolean
}

/** Who is asking: an acquirer that proved it. */
export type Acquirer = AcquirerConfig
