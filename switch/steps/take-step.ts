// A step of a payment, from its request to its answer: what captures, reversals, refunds and
// increments share. One at a time a payment: each reads the payment, judges, and claims the next
// version; who comes second reads again.

import { timingSafeEqual } from 'node:crypto'
import { admit, fingerprintOf } from '../admit.ts'
import { type Refusal, refuse, refuseForNow } from '../errors.ts'
import { answerOfFirst, KeyTaken } from '../first-answer.ts'
import { PAYMENT_STEPS_MAX, RETRY_AFTER_SECONDS, STEP_TRIES_MAX } from '../limits.ts'
import { storedAuthorization } from '../message.ts'
import { scoredRequest } from '../past-payment.ts'
import { advance, type Payment, type PaymentEvent, paymentOf } from '../payment.ts'
import { type Reply, respond, respondAgain, respondUnknown } from '../respond.ts'
import { refuseUnreadable } from '../shed.ts'
import {
  isTombstone,
  type Outcome,
  type StepKind,
  StoreFault,
  type Transaction,
} from '../store/index.ts'
import type { Acquirer, World } from '../world.ts'
import type { StepRequest } from './step-request.ts'
import {
  canBeTakenBack,
  nothingOf,
  reversedStepOf,
  type TakenBack,
  takeBackOf,
  takenBackOf,
} from './taken-back.ts'

/** One step on its way: what its story may read. */
export interface RunningStep {
  readonly id: string
  readonly acquirer: Acquirer
  readonly idempotencyKey: string
  readonly fingerprint: Uint8Array
  readonly request: StepRequest
  readonly authorization: Transaction
  /** The steps before this one, in their order. */
  readonly steps: readonly Transaction[]
  /** Of a reversal: the refund or the increment that it takes back, and what stands of it after. */
  readonly takenBack: TakenBack | undefined
  /** What the payment stands at, and what it would after the whole of this step. */
  readonly before: Payment
  readonly after: Payment
  /** Integer minor units. */
  readonly amount: number
  readonly currency: string
  /** The version of the payment that this step makes. */
  readonly version: number
  readonly arrivedAtMs: number
  /** Monotonic: when it was let in. Its answer is due `acquirerMs` after. */
  readonly startedMs: number
}

/** A step's own part. `stale`: another step came first, nothing was stored. */
export type StepStory = (world: World, step: RunningStep) => Promise<Outcome | Refusal | 'stale'>

const PREFIXES: Readonly<Record<StepKind, string>> = {
  capture: 'cap_',
  reversal: 'rev_',
  refund: 'ref_',
  increment: 'inc_',
}

/**
 * Admits the request, lets `story` take the step when it is legal, and answers. Resolves with an
 * answer or a refusal; what rejects is a bug.
 */
export async function takeStep(
  world: World,
  acquirer: Acquirer,
  idempotencyKey: string,
  request: StepRequest,
  story: StepStory,
): Promise<Reply> {
  const { kind, paymentId, amount, currency, stan, transmittedAt, isTold, wire } = request
  const said = [amount, currency, stan, transmittedAt]
  const same = wire?.compared ?? (isTold === true ? [...said, isTold] : said)
  const text = JSON.stringify(same)
  const fingerprint = fingerprintOf(world.fingerprints, `${kind} ${paymentId}`, text)
  const isAccepted = kind === 'capture' || kind === 'reversal' || isTold === true
  const work = isAccepted ? 'accepted' : 'asked'
  const admission = admit(world, acquirer.id, idempotencyKey, fingerprint, work)
  if (admission.kind === 'refused') return admission
  if (admission.kind === 'later') return admission.reply
  const startedMs = world.clock.monotonic()
  const asked: AskedStep = { acquirer, idempotencyKey, fingerprint, request, startedMs }
  const reply = await seeThrough(world, asked, story)
  world.inFlight.leave(admission.place, reply)
  return reply
}

type AskedStep = Pick<
  RunningStep,
  'acquirer' | 'idempotencyKey' | 'fingerprint' | 'request' | 'startedMs'
>

async function seeThrough(world: World, asked: AskedStep, story: StepStory): Promise<Reply> {
  try {
    for (let tries = 0; tries < STEP_TRIES_MAX; tries++) {
      const step = await judgeOrRefuse(world, asked)
      if ('kind' in step) return step
      const result = await story(world, step)
      if (result === 'stale') continue
      if ('kind' in result) return result
      world.journal.stepTaken(asked.request.kind, result)
      tellVelocity(world, step, result)
      return respond(result)
    }
    return refuseInProgress()
  } catch (error) {
    if (error instanceof StoreFault) return respondUnknown()
    if (error instanceof KeyTaken) return answerOfFirst(world, error, asked.fingerprint)
    throw error
  }
}

/** Money that goes back is an event of the payment's own entities. */
function tellVelocity(world: World, step: RunningStep, outcome: Outcome): void {
  // Of an original that has not come nothing was counted.
  if (outcome.outcome !== 'approved' || isTombstone(step.authorization.intent)) return
  const { kind } = step.request
  const isReversal = kind === 'reversal' && step.takenBack === undefined
  if (kind !== 'refund' && !isReversal) return
  const request = scoredRequest(step.authorization)
  world.scorer.publish({ request, kind: isReversal ? 'reversed' : 'refunded' })
}

/** A record that does not read is the disk's fault, and nothing was stored yet. */
async function judgeOrRefuse(world: World, asked: AskedStep): Promise<RunningStep | Reply> {
  try {
    return await judge(world, asked)
  } catch (error) {
    return refuseUnreadable(world, error)
  }
}

/** The payment as its records have it now, and whether this step may be taken. */
async function judge(world: World, asked: AskedStep): Promise<RunningStep | Reply> {
  const { acquirer, request } = asked
  const named = await readOwn(world, acquirer, request.paymentId)
  const target = named !== undefined && canBeTakenBack(request, named) ? named : undefined
  const authorization = target === undefined ? named : await readPayment(world, target)
  if (authorization === undefined || authorization.intent.payment !== undefined) {
    return refuse('not_found', 'no such authorization of yours')
  }
  const { cardToken } = authorization.intent
  const card = request.wire?.cardToken
  // A tombstone knows no card.
  if (card !== undefined && cardToken !== '' && card !== cardToken) {
    return refuse('not_found', 'no such authorization of this card')
  }
  const steps = await readSteps(world, authorization)
  const known = steps.find(({ intent }) => intent.idempotencyKey === asked.idempotencyKey)
  if (known !== undefined) return replyAgain(world, asked, known)
  if (steps.at(-1)?.outcome === null) return refuseInProgress()
  if (steps.length >= PAYMENT_STEPS_MAX) {
    return refuse('too_many_steps', `a payment has at most ${PAYMENT_STEPS_MAX} steps`)
  }
  const { currency } = storedAuthorization(authorization.intent)
  if (request.currency !== undefined && request.currency !== currency) {
    return refuse('invalid_currency', `currency must be the payment's, ${currency}`, 'currency')
  }
  const arrivedAtMs = world.clock.now()
  const before = paymentOf(authorization, steps, arrivedAtMs, world.config.validity)
  const event = target === undefined ? eventOf(request, before) : takeBackOf(request, target, steps)
  if (event === undefined) {
    return refuse('invalid_amount', detailOf(request.kind, before), 'amount')
  }
  const of = target === undefined ? undefined : reversedStepOf(target)
  if (of?.isUndone === false && target?.outcome?.outcome !== 'approved') {
    return refuse('payment_not_approved', `the ${of.kind} was not approved`)
  }
  const verdict = of?.isUndone === true ? nothingOf(target, before) : advance(before, event)
  if (verdict.kind === 'illegal') {
    const { code } = verdict
    if (code === 'payment_in_progress') return refuseInProgress()
    return refuse(code, detailOf(request.kind, before), param(code))
  }
  return {
    ...asked,
    id: world.identifiers.next(PREFIXES[request.kind]),
    authorization,
    steps,
    takenBack: of === undefined ? undefined : takenBackOf(target, of, event, verdict.amount),
    before,
    after: verdict.after,
    amount: verdict.amount,
    currency,
    version: authorization.steps.length + 1,
    arrivedAtMs,
  }
}

/** Undefined: the amounts that the message says can't be those of this payment. */
function eventOf({ kind, amount, wire }: StepRequest, before: Payment): PaymentEvent | undefined {
  if (wire?.whole === undefined) return { kind, amount }
  const isOpen = before.state === 'in_flight' || before.state === 'undone'
  const now = isOpen ? before.requested : before.authorized - before.reversed
  const isKnown = [before.requested, before.authorized, now].includes(wire.whole)
  // A payment that has ended is refused for that, whatever the amount.
  const holdsMoney = isOpen || now > 0
  if (holdsMoney && !isKnown) return undefined
  if (wire.standing === undefined || !holdsMoney) return { kind, amount: undefined }
  return wire.standing < now ? { kind, amount: now - wire.standing } : undefined
}

/** Scoped to its acquirer: another's is as unknown as none. */
async function readOwn(
  world: World,
  acquirer: Acquirer,
  id: string,
): Promise<Transaction | undefined> {
  const found = await world.store.read(id)
  return found?.intent.acquirer === acquirer.id ? found : undefined
}

/** The authorization that a step belongs to. */
function readPayment(world: World, step: Transaction): Promise<Transaction | undefined> {
  return world.store.read(step.intent.payment?.paymentId ?? '')
}

/** In their order. */
export async function readSteps(
  world: Pick<World, 'store'>,
  authorization: Transaction,
): Promise<readonly Transaction[]> {
  const steps: Transaction[] = []
  for (const id of authorization.steps) {
    const step = await world.store.read(id)
    if (step === undefined) throw new Error(`${authorization.intent.id} names a step ${id}`)
    steps.push(step)
  }
  return steps
}

/** A payment remembers the keys of its steps for its whole life, longer than other keys are. */
function replyAgain(world: World, asked: AskedStep, known: Transaction): Reply | Promise<Reply> {
  if (!timingSafeEqual(known.intent.fingerprint, asked.fingerprint)) {
    const detail = 'this Idempotency-Key belongs to another step: use a new one'
    return refuse('idempotency_key_reused', detail, 'Idempotency-Key')
  }
  return known.outcome === null ? refuseInProgress() : respondAgain(world, known.intent.id)
}

export function refuseInProgress(): Refusal {
  const detail = 'another step of this payment runs: retry with the same Idempotency-Key'
  return refuseForNow('payment_in_progress', detail, RETRY_AFTER_SECONDS)
}

function detailOf(kind: StepKind, payment: Payment): string {
  const { state, authorized, captured, reversed, refunded } = payment
  return (
    `no ${kind}: the payment is ${state}, with ${authorized} authorized, ${captured} captured, ` +
    `${reversed} reversed and ${refunded} refunded`
  )
}

function param(code: string): string | undefined {
  return code.includes('_above_') ? 'amount' : undefined
}
