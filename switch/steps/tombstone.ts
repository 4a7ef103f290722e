// A reversal that came before its original: the original's key is taken by a declined outcome, so that
// the original, when it comes, is answered 94 and never forwarded.

import { RESPONSE_CODE } from '../response-codes.ts'
import type { Intent, Outcome } from '../store/index.ts'
import type { Acquirer, World } from '../world.ts'

/** What is known of an original that has not come. */
export interface AbsentOriginal {
  readonly idempotencyKey: string
  readonly rrn: string | undefined
  /** Integer minor units. */
  readonly amount: number
  readonly currency: string
}

/** What `isTombstone` knows it by: no keyed HMAC of 32 zero bytes is ever found. */
const ANY_REQUEST = new Uint8Array(32)

/** Durable when it resolves. False: the original came after all. Rejects with StoreFault. */
export async function leaveTombstone(
  world: World,
  acquirer: Acquirer,
  original: AbsentOriginal,
): Promise<boolean> {
  const id = world.identifiers.next('auth_')
  const nowMs = world.clock.now()
  const { amount, currency } = original
  const rrn = original.rrn ?? id.slice(-12)
  const intent: Intent = {
    id,
    kind: 'financial',
    acquirer: acquirer.id,
    idempotencyKey: original.idempotencyKey,
    fingerprint: ANY_REQUEST,
    createdAtMs: nowMs,
    rrn,
    cardToken: '',
    request: { type: 'authorization', amount, currency },
    attempt: null,
  }
  const outcome: Outcome = {
    id,
    recordedAtMs: nowMs,
    outcome: 'declined',
    responseCode: RESPONSE_CODE.duplicate,
    cause: 'acquirer_reversal',
    issuerResponseCode: null,
    answer: {
      id,
      type: 'authorization',
      outcome: 'declined',
      responseCode: RESPONSE_CODE.duplicate,
      amount,
      currency,
      rrn,
      standIn: false,
      createdAt: new Date(nowMs).toISOString(),
    },
    decision: null,
    reversal: null,
  }
  return (await world.store.accept(intent, outcome)).kind === 'claimed'
}
