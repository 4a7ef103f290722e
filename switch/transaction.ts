// One authorization on its way through the steps: what every step may read.

import type { ScoringRequest } from '#scoring'
import type { OpenCard } from './card-data/index.ts'
import type { Issuer } from './issuers/index.ts'
import type { AuthorizationRequest, StoredAuthorization } from './message.ts'
import type { Attempt } from './store/index.ts'
import type { Acquirer } from './world.ts'

/** An admitted authorization. One shape for all, made once by `prepare`. */
export interface RunningAuthorization {
  readonly id: string
  readonly acquirer: Acquirer
  readonly idempotencyKey: string
  readonly fingerprint: Uint8Array
  readonly request: AuthorizationRequest
  readonly card: OpenCard
  readonly cardToken: string
  /** What is kept of the request. */
  readonly stored: StoredAuthorization
  /** The same as JSON. */
  readonly storedText: string
  readonly scoring: ScoringRequest
  /** Names of the issuers that take the card, in order; none where no route holds the BIN. */
  readonly route: readonly string[]
  /** Where it goes first; undefined where no route holds the BIN. */
  readonly issuer: Issuer | undefined
  /** The first; null where there is no route. */
  readonly attempt: Attempt | null
  /** The acquirer's, or ours where it sent none. */
  readonly rrn: string
  readonly traceparent: string | undefined
  /** Milliseconds since 1970 and by the monotonic clock. */
  readonly arrivedAtMs: number
  readonly startedMs: number
}
