// A stored authorization as scoring saw it, and what became of it: for backtests and explanations.

import type { PastPayment, ScoringRequest } from '#scoring'
import { eventHashOf } from './claim.ts'
import { storedAuthorization } from './message.ts'
import type { PastTransaction } from './store/index.ts'

/** The request without the card's expiry, which is not kept; a decision that read it keeps it. */
export function scoredRequest({ intent }: Pick<PastTransaction, 'intent'>): ScoringRequest {
  const stored = storedAuthorization(intent)
  const { bin, country } = stored.card
  return {
    id: intent.id,
    eventHash: eventHashOf(intent.acquirer, intent.idempotencyKey),
    arrivedAtMs: intent.createdAtMs,
    acquirer: intent.acquirer,
    type: stored.type,
    amount: stored.amount,
    currency: stored.currency,
    channel: stored.channel,
    card: {
      token: intent.cardToken,
      bin,
      // MessagePack has no undefined: what was absent comes back as null.
      ...(typeof country === 'string' ? { country } : {}),
    },
    merchant: stored.merchant as unknown as ScoringRequest['merchant'],
    terminal: stored.terminal,
    device: stored.device,
    customer: stored.customer,
    threeDs: stored.threeDs,
  }
}

export function pastPaymentOf(past: PastTransaction): PastPayment {
  const { intent, outcome } = past
  const decision = outcome?.decision ?? undefined
  const request = scoredRequest(past)
  const expiry = decision?.lookedUp?.[5]
  return {
    request:
      typeof expiry === 'string' ? { ...request, card: { ...request.card, expiry } } : request,
    rrn: intent.rrn,
    outcome: outcome?.outcome,
    // What an advice told, as velocity was told it: its answer says 00, taken.
    responseCode: outcome?.advice?.responseCode ?? outcome?.responseCode,
    endedAtMs: outcome?.recordedAtMs ?? Number.NaN,
    decided: decision?.outcome,
    decision,
    label: undefined,
  }
}
