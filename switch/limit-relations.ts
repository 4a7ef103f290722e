// How the limits of the path, the issuers, the store and scoring fit each other; asserted at start.

import assert from 'node:assert/strict'
import { scoringLimitsFit } from '#scoring'
import { LINK_IN_FLIGHT_MAX } from './issuers/index.ts'
import {
  ACCEPTED_RESERVED,
  IN_FLIGHT_MAX,
  SCORING_QUEUE_CAPACITY,
  SCORING_QUEUE_MAX,
  WAITERS_PER_KEY_MAX,
} from './limits.ts'
import { POSTGRES_LIMITS, STORE_LIMITS } from './store/index.ts'

/** STANs toward one issuer, 000001 to 999999. */
const STANS = 999_999

/** The relations between limits. Throws: a wrong number must not start. */
export function assertRelations(): void {
  assert.ok(SCORING_QUEUE_MAX < SCORING_QUEUE_CAPACITY, 'what the door admits must fit the queue')
  assert.ok(scoringLimitsFit(), 'the limits of scoring must fit each other')
  assert.ok(LINK_IN_FLIGHT_MAX <= IN_FLIGHT_MAX / 2, 'one silent issuer must leave room to others')
  // Each has one record waiting for its flush at most; twice, for marks and deliveries beside them.
  const inFlightMax = IN_FLIGHT_MAX + ACCEPTED_RESERVED
  assert.ok(2 * inFlightMax < STORE_LIMITS.waitingRecordsMax, 'the commit group must hold all')
  assert.ok(2 * inFlightMax < POSTGRES_LIMITS.waitingWritesMax, 'and so must a batch queue')
  assert.ok(IN_FLIGHT_MAX < STANS / 2, 'every request in flight needs a STAN, and late answers too')
  assert.ok(WAITERS_PER_KEY_MAX * IN_FLIGHT_MAX < 100_000, 'waiters hold connections and timers')
}
