// At start: what a crash left open is ended, each open record in the way of its kind.

import type { Issuer } from './issuers/index.ts'
import { storedAuthorization } from './message.ts'
import { isReversedAlready, queuedReversal } from './record.ts'
import { type Answered, answerBody, type Ruling, stepBody } from './respond.ts'
import { RESPONSE_CODE } from './response-codes.ts'
import { storedStep } from './steps/index.ts'
import type { Attempt, Outcome, Transaction } from './store/index.ts'
import type { World } from './world.ts'

export interface RecoveryReport {
  /** Open claims that were ended `declined`. */
  readonly declined: number
  /** Of these, those whose request may have left, so that a reversal was queued. */
  readonly reversed: number
}

type RecoveryWorld = Pick<World, 'store' | 'clock' | 'journal'> & {
  /** Trace numbers toward an issuer by its name, configured today or not. */
  readonly traceNumbers: (issuer: string) => Pick<Issuer, 'drawTraceNumbers'>
  /** The attempt's answer may still come: it is matched, recorded, and changes nothing. */
  readonly expectLateAnswer: (attempt: Attempt, transactionId: string) => void
}

/**
 * Ends every open claim before anything new is let in. Reads records only, never today's routes:
 * an attempt is reversed at the issuer that it names.
 */
export async function recover(
  world: RecoveryWorld,
  taken?: readonly Transaction[],
): Promise<RecoveryReport> {
  const open = taken ?? (await world.store.openTransactions())
  let reversed = 0
  for (const transaction of open) {
    const outcome = recoveredOutcome(world, transaction)
    await world.store.record(outcome)
    world.journal.recovered(transaction.intent, outcome)
    if (outcome.reversal === null) continue
    reversed++
    world.expectLateAnswer(outcome.reversal.original, outcome.id)
  }
  return { declined: open.length, reversed }
}

function recoveredOutcome(world: RecoveryWorld, transaction: Transaction): Outcome {
  const { intent } = transaction
  const attempt = transaction.attempts.at(-1)
  const mayHaveLeft = attempt !== undefined && !transaction.notSent
  // A crash between an attempt's reversal and the further attempt left that one reversed already.
  const isReversed = isReversedAlready(transaction, attempt)
  const mustReverse = mayHaveLeft && !isReversed && intent.kind !== 'inquiry'
  const step = storedStep(transaction)
  const ruling: Ruling = {
    outcome: 'declined',
    responseCode: attempt === undefined ? RESPONSE_CODE.noRoute : RESPONSE_CODE.issuerUnavailable,
    issuerAnswer: undefined,
  }
  return {
    id: intent.id,
    recordedAtMs: world.clock.now(),
    outcome: ruling.outcome,
    responseCode: ruling.responseCode,
    cause: 'recovery',
    issuerResponseCode: null,
    answer:
      step === undefined
        ? answerBody(answeredOf(transaction), ruling, null)
        : stepBody(step.answered, ruling, step.before),
    decision: null,
    reversal: mustReverse
      ? queuedReversal(
          world,
          intent.id,
          attempt,
          world.traceNumbers(attempt.issuer),
          'recovery',
          transaction.deliveries.length === 0 ? step?.answered.kind : 'fail_over',
        )
      : null,
  }
}

/** The record's own words; `prepare` wrote them. */
export function answeredOf(transaction: Transaction): Answered {
  const { intent } = transaction
  const stored = storedAuthorization(intent)
  return {
    id: intent.id,
    type: stored.type,
    amount: stored.amount,
    currency: stored.currency,
    stan: stored.stan ?? undefined,
    rrn: intent.rrn,
    issuer: transaction.attempts.at(-1)?.issuer,
    cardToken: transaction.attempts.length === 0 ? undefined : intent.cardToken,
    maskedPan: stored.card.masked,
    createdAtMs: intent.createdAtMs,
  }
}
