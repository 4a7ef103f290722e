// Before a worker takes its first message it has scored some hundred: compiled rules, features, the
// model and the wire are then optimized code, and the time zones are loaded (20 ms), so that the
// first real message meets its deadline.

import type { AggregatePlan } from '#rules'
import { REDIS_COMMAND_TIMEOUT_MS } from './limits.ts'
import type { Clock } from './ports.ts'
import type { ScoringRequest } from './request.ts'
import type { Scoring } from './score.ts'
import { WARM_UP_EDITION } from './start.ts'
import { createEmbeddedVelocity, type Velocity, type VelocityAttempt } from './velocity/index.ts'
import {
  decodeBatch,
  decodeDecided,
  encodeBatch,
  encodeDecided,
  type ScoringBatch,
} from './wire.ts'

/** Sizes of batches, in turn: single messages as well as full batches. */
const BATCH_SIZES = [1, 1, 1, 64, 1, 16, 1, 4]
const ROUNDS = 20

/**
 * For a worker that takes traffic: everything but the new rules is warm there, and a batch of real
 * messages waits behind one of these. Measured: 88 messages, 4-10 ms in all.
 */
const LATER_ROUNDS = 4
const LATER_BATCH_SIZES = [1, 4, 1, 16]

/** Asked between batches: a promise that it gives is waited for. */
type Pause = () => Promise<void> | undefined

/**
 * Scores made-up messages with the real rules and model, on counters of its own that are thrown
 * away. Measured: 1,780 messages, 0.1-0.2 s. With `pause` it is short and lets others in between.
 */
export async function warmUp(
  scoringOn: (velocity: Velocity) => Scoring,
  pause?: Pause,
): Promise<void> {
  const velocity = createEmbeddedVelocity()
  const scoring = scoringOn(velocity)
  const rounds = pause === undefined ? ROUNDS : LATER_ROUNDS
  let number = 0
  for (let round = 0; round < rounds; round++) {
    for (const size of pause === undefined ? BATCH_SIZES : LATER_BATCH_SIZES) {
      const sent = encodeBatch(madeUpBatch(number, size), WARM_UP_EDITION)
      number += size
      const batch = decodeBatch(sent)
      const scored = await scoring.score(batch.requests, batch.velocityDeadlineMs)
      decodeDecided(encodeDecided({ ...scored, outcomesLost: 0 }))
      await pause?.()
    }
  }
  await velocity.close()
}

/**
 * The main thread's side of the same: batches, deadlines and the way to the workers and back.
 * `score` must be that of a pool which sends to WARM_UP_EDITION. Measured: 0.1 s.
 */
export async function warmUpCaller(
  score: (request: ScoringRequest, deadlineMs: number) => Promise<unknown>,
): Promise<void> {
  let number = 0
  for (let round = 0; round < ROUNDS; round++) {
    for (const size of BATCH_SIZES) {
      const { requests } = madeUpBatch(number, size)
      number += size
      await Promise.all(requests.map((request) => score(request, WARM_UP_DEADLINE_MS)))
    }
  }
}

/** Nothing is to be late here, or the way of what is in time would stay cold. */
const WARM_UP_DEADLINE_MS = 1_000

function madeUpBatch(from: number, size: number): ScoringBatch {
  const requests = Array.from({ length: size }, (_, i) => madeUpRequest(from + i))
  return { requests, outcomes: [], velocityDeadlineMs: WARM_UP_DEADLINE_MS }
}

/**
 * Asks the real counters once: connection, script and plan are then ready, and the first message
 * does not wait for them. Leaves one attempt of nobody behind; a store that is away is no reason to
 * wait.
 */
export async function warmUpVelocity(
  velocity: Velocity,
  plan: AggregatePlan,
  clock: Clock,
): Promise<void> {
  const nobody: VelocityAttempt = {
    eventHash: spreadHash(clock.now()),
    atMs: clock.now(),
    baseAmount: 0,
    keys: { card: 'warm-up' },
    latitude: Number.NaN,
    longitude: Number.NaN,
  }
  await velocity.observe([nobody], plan, REDIS_COMMAND_TIMEOUT_MS).catch(() => undefined)
}

/** Different in all digits, as hashes are: alike ones would be taken for one resent event. */
function spreadHash(number: number): string {
  const spread = BigInt(number + 1) * 0x9e3779b97f4a7c15n
  return spread.toString(16).slice(-16).padStart(16, '0')
}

const CHANNELS = ['pos', 'ecommerce', 'atm', 'recurring']

function madeUpRequest(number: number): ScoringRequest {
  return {
    id: `warm-up-${number}`,
    eventHash: spreadHash(number),
    arrivedAtMs: 1_795_000_000_000 + number * 1_000,
    acquirer: 'warm-up',
    type: 'authorization',
    amount: 100 + ((number * 7_919) % 50_000),
    currency: 'EUR',
    channel: CHANNELS[number % CHANNELS.length] as string,
    card: { token: `warm-up-${number % 50}`, bin: '47617390', expiry: '2912' },
    merchant: {
      id: `M-${number % 20}`,
      mcc: '5411',
      name: 'Shop',
      country: 'DE',
      timeZone: 'Europe/Berlin',
    },
    terminal: { id: `T-${number % 40}`, entryMode: 'contactless' },
    device: { id: `D-${number % 60}`, ip: `203.0.113.${number % 250}` },
    customer: { id: `C-${number % 50}` },
  }
}
